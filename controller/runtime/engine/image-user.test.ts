import { expect, test } from 'vitest';
import { uidOf } from './image-user.ts';
import { readTarFile } from './tar-file.ts';

const passwd = [
  'root:x:0:0:root:/root:/bin/sh',
  'worker:x:1000:1000::/home/worker:/bin/sh',
  '  toor:x:00:0::/root:/bin/sh',
  'broken:x:none:1000::/:',
  'short',
  'twice:x:0:0::/:',
  'twice:x:1001:0::/:',
  '',
].join('\n');

test.each([
  ['root', 0],
  ['worker', 1000],
  ['toor', 0],
  ['broken', 0],
  ['short', 0],
  ['twice', 0],
  ['nobody', undefined],
  ['work', undefined],
])('the user %s of an image is %s, as engines read it', (name, uid) => {
  expect(uidOf(passwd, name)).toBe(uid);
});

function entry(type: string, body: string, link = ''): Buffer {
  const header = Buffer.alloc(512);
  header.write('etc/passwd', 0);
  header.write(Buffer.byteLength(body).toString(8).padStart(11, '0'), 124);
  header.write(type, 156);
  header.write(link, 157);
  const padded = Buffer.alloc(Math.ceil(Buffer.byteLength(body) / 512) * 512);
  padded.write(body);
  return Buffer.concat([header, padded]);
}
const end = Buffer.alloc(1024);

test('the file of an archive is read, whatever remarks are before it', () => {
  const file = { kind: 'file', text: passwd };
  expect(readTarFile(Buffer.concat([entry('0', passwd), end]))).toEqual(file);
  const remarks = [entry('x', '30 mtime=1700000000.123456789\n'), entry('g', 'x'.repeat(600))];
  expect(readTarFile(Buffer.concat([...remarks, entry('0', passwd), end]))).toEqual(file);
});

test('a link says where it leads, and what is neither is neither', () => {
  const link = entry('2', '', '../nix/store/passwd');
  expect(readTarFile(Buffer.concat([link, end]))).toEqual({
    kind: 'link',
    target: '../nix/store/passwd',
  });
  for (const archive of [end, Buffer.alloc(0), entry('5', ''), Buffer.from('no archive')])
    expect(readTarFile(archive).kind).not.toBe('link');
  expect(readTarFile(entry('5', ''))).toEqual({ kind: 'other' });
});
