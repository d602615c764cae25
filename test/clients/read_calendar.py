# Reads calendars, the files of its arguments, by the library icalendar, and prints what it has found, a line of JSON
# for each: properties of the calendar, its events, and what RFC 5545 and RFC 7986 ask for and it lacks.
import json
import sys
from datetime import timezone

import icalendar


def events_of(calendar):
    for event in calendar.walk('VEVENT'):
        yield {name.lower(): (value.dt.astimezone(timezone.utc).strftime('%Y-%m-%d %H:%M:%S') if hasattr(value, 'dt')
                              else value.to_ical().decode() if name == 'CATEGORIES' else str(value))
               for name, value in event.items()}


def problems_of(calendar, text):
    for line in text.split(b'\r\n'):
        if len(line) > 75 or b'\n' in line or b'\r' in line:
            yield 'a line is too long, or is not ended: %r' % line
        try:
            line.decode()
        except UnicodeDecodeError:
            yield 'a line is folded within a character: %r' % line
    if not text.endswith(b'END:VCALENDAR\r\n'):
        yield 'it does not end with the calendar'
    for name in 'VERSION', 'PRODID', 'METHOD', 'REFRESH-INTERVAL':
        if name not in calendar:
            yield 'there is no %s' % name
    if not calendar.subcomponents:
        yield 'it has no component'
    for event in calendar.walk('VEVENT'):
        for name in 'UID', 'DTSTAMP', 'DTSTART', 'DTEND', 'SUMMARY':
            if name not in event:
                yield 'an event has no %s' % name
        if event.errors or event['DTEND'].dt <= event['DTSTART'].dt:
            yield 'an event is not one: %s' % event['SUMMARY']
    if calendar.errors:
        yield 'it has errors: %s' % calendar.errors


for path in sys.argv[1:]:
    with open(path, 'rb') as file:
        text = file.read()
    try:
        calendar = icalendar.Calendar.from_ical(text)
        found = {'name': str(calendar.get('X-WR-CALNAME')), 'method': str(calendar.get('METHOD')),
                 'events': list(events_of(calendar)), 'problems': list(problems_of(calendar, text))}
    except ValueError as error:
        found = {'problems': [str(error)]}
    print(json.dumps(found))
