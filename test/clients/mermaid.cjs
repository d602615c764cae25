// Draws a Mermaid graph from standard input in a browser, as pages that show Markdown do, and tells what it sees: a line
// of JSON. mermaid.cjs BROWSER
'use strict';

const fs = require('fs');
const puppeteer = require('puppeteer-core');

async function draw(browser, graph) {
	const page = await browser.newPage();
	const messages = [];
	const requests = [];

	page.on('console', (message) => messages.push(message.text()));
	page.on('pageerror', (error) => messages.push(String(error)));
	page.on('dialog', (dialog) => { messages.push(dialog.message()); dialog.dismiss(); });
	await page.setContent('<!DOCTYPE html><title>graph</title><pre class="mermaid"></pre>');
	page.on('request', (request) => requests.push(request.url()));
	await page.addScriptTag({ path: require.resolve('mermaid/dist/mermaid.min.js') });
	return page.evaluate(async (text) => {
		const pre = document.querySelector('pre');
		const texts = (selector) => [...pre.querySelectorAll(selector)].map((label) => label.innerText.trim());

		mermaid.initialize({ startOnLoad: false, securityLevel: 'strict' });
		pre.textContent = text;
		await mermaid.run({ nodes: [pre] });
		return {
			nodes: texts('.nodeLabel'),
			words: texts('.edgeLabel .edgeLabel p'),
			paths: [...pre.querySelectorAll('.flowchart-link')].map((path) => /edge-pattern-dotted/.test(path.getAttribute('class'))),
			odd: pre.querySelectorAll('script, img, a, iframe').length,
		};
	}, graph).then((seen) => ({ ...seen, messages, requests }));
}

(async () => {
	const browser = await puppeteer.launch({ executablePath: process.argv[2], args: ['--no-sandbox', '--disable-gpu'] });
	try {
		console.log(JSON.stringify(await draw(browser, fs.readFileSync(0, 'utf8'))));
	} finally {
		await browser.close();
	}
})().catch((error) => { console.error(error); process.exit(1); });
