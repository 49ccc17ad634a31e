// Owns: `cofferctl window list`.
import { read } from '../verb/read.ts';
import { only } from '../verb/verb.ts';
import { windowTable } from './window-table.ts';

export const windowList = read({
  words: ['window', 'list'],
  options: [{ name: 'account', value: 'NAME', help: 'only of this account' }],
  help: 'Lists activation windows: open ones, and standing ones with their schedules.',
  example: 'cofferctl window list',
  operation: 'window.list',
  params: ({ options: { account } }) => only({ account }),
  text: ({ windows }) => windowTable(windows, 'no windows'),
});
