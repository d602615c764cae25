// Opens pages in a browser, as people do, and tells what it sees, a line of JSON for each page, width and scheme.
// node page.cjs BROWSER FILE...
'use strict';

const fs = require('fs');
const puppeteer = require('puppeteer-core');
const axe = require('axe-core').source;

const looks = [[360, 'light'], [360, 'dark'], [1200, 'light'], [1200, 'dark']];

// Looks at a page that runs nothing; its policy is left out only for the checker, which is a script.
async function look(browser, file, width, scheme, checks) {
	const page = await browser.newPage();
	const messages = [];
	const requests = [];

	page.on('console', (message) => messages.push(message.text()));
	page.on('pageerror', (error) => messages.push(String(error)));
	page.on('request', (request) => requests.push(request.url()));
	await page.setBypassCSP(checks);
	await page.setViewport({ width, height: 900 });
	await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
	await page.goto('file://' + file);
	const seen = await page.evaluate(() => ({
		title: document.title,
		heading: document.querySelector('h1').textContent,
		state: document.querySelector('.state').textContent.trim(),
		rows: [...document.querySelectorAll('tbody tr')].map((row) => [...row.children].map((cell) => cell.innerText.trim())),
		tiles: [...document.querySelectorAll('.tiles li')].map((tile) =>
			[...tile.children].map((word) => word.innerText.trim())),
		events: [...document.querySelectorAll('.events li')].map((event) =>
			event.textContent.replace(/\s+/g, ' ').trim()),
		figures: [...document.querySelectorAll('figure')].map((figure) => ({
			title: figure.querySelector('figcaption').innerText,
			words: figure.querySelector('svg').getAttribute('aria-label'),
			bars: [...figure.querySelectorAll('g')].map((bar) => [bar.textContent, bar.getBoundingClientRect().height]),
		})),
		scripts: document.scripts.length,
		handlers: [...document.querySelectorAll('*')].filter((e) => [...e.attributes].some((a) => /^on/.test(a.name))).length,
		styled: getComputedStyle(document.body).maxWidth !== 'none',
		overflow: document.documentElement.scrollWidth - innerWidth,
		background: getComputedStyle(document.documentElement).backgroundColor,
		paint: Math.round((performance.getEntriesByType('paint')[0] || performance.getEntriesByType('navigation')[0].toJSON()).startTime
			|| performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd),
		bytes: document.documentElement.outerHTML.length,
	}));
	// what a screen reader finds of tables, however they are laid out
	const { nodes } = await (await page.createCDPSession()).send('Accessibility.getFullAXTree');
	const heard = nodes.filter((node) =>
		!node.ignored && /^(table|row|rowheader|columnheader)$/.test(node.role.value)).length;

	// printed, it is light, and nothing is folded
	await page.emulateMediaType('print');
	const printed = await page.evaluate(() => ({
		background: getComputedStyle(document.documentElement).backgroundColor,
		folded: [...document.querySelectorAll('main > details')].filter((d) => !d.children[1].checkVisibility()).length,
	}));
	await page.emulateMediaType('screen');
	let violations = [];

	if (checks) {
		await page.evaluate(axe);
		violations = await page.evaluate(async () => (await axe.run()).violations.map((v) => v.id + ': ' + v.nodes[0].html));
	}
	await page.close();
	return { width, scheme, messages, requests, violations, heard, printed, ...seen };
}

(async () => {
	const [executablePath, ...files] = process.argv.slice(2);
	const browser = await puppeteer.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });

	for (const file of files)
		for (const [width, scheme] of fs.statSync(file).size < 200000 ? looks : looks.filter((l) => l[1] === 'light')) {
			const plain = await look(browser, file, width, scheme, false);
			// what is large is the same markup many times, for which the checker takes minutes
			const checked = plain.bytes < 200000 ? await look(browser, file, width, scheme, true) : plain;

			console.log(JSON.stringify({ file, ...plain, violations: checked.violations }));
		}
	await browser.close();
})().catch((error) => {
	console.error(String(error));
	process.exit(1);
});
