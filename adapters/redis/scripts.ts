import { createHash } from 'node:crypto';
import type { Client } from './client.ts';
import { changesKept } from './keys.ts';

/**
 * What Redis does in one step. The line `#!lua` lets it refuse a script before its first command
 * when it could not write (no memory, a replica, a disk that failed), so none stops half-way.
 */
export interface Script {
  readonly lua: string;
  readonly sha: string;
}

function script(lua: string): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}

/** Runs a script by its hash; a server that does not know it (restarted, flushed) gets the text. */
export async function run(
  client: Client,
  { lua, sha }: Script,
  keys: readonly string[],
  values: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await client.evalsha(sha, keys.length, ...keys, ...values);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return client.eval(lua, keys.length, ...keys, ...values);
  }
}

/**
 * Keys: versions, documents, newest version, removals, changes, fences. Values: collection, id, text
 * ('' removes), expectation, lease, token ('' for none). Gives the new version, 0 when there was
 * nothing to remove, or which rule the write breaks.
 *
 * Versions follow the clock (microseconds): a failover that forgot the newest ones does not give them
 * again to other values. The changes go first, since a stream refuses a version that is no newer.
 */
const write = `
local versions, documents, newest, removals, changes, fences = unpack(KEYS)
local collection, id, text, expected, lease, token = unpack(ARGV)
if token ~= '' then
  local seen = redis.call('HGET', fences, lease)
  if seen and tonumber(token) < tonumber(seen) then return 'fenced' end
end
local stored = redis.call('ZSCORE', versions, id)
if expected == 'absent' then
  if stored then return 'conflict' end
elseif expected ~= 'anything' and tonumber(stored or -1) ~= tonumber(expected) then
  return 'conflict'
end
if text == '' and not stored then
  if token ~= '' then redis.call('HSET', fences, lease, token) end
  return 0
end
local previous = redis.call('GET', newest) or '0'
local time = redis.call('TIME')
local number = math.max(tonumber(previous) + 1, time[1] * 1000000 + time[2])
local version = string.format('%.0f', number)
redis.call('XADD', changes, 'MAXLEN', '~', ${changesKept}, version .. '-0',
  'previous', previous, 'collection', collection, 'id', id, 'gone', text == '' and '1' or '')
redis.call('SET', newest, version)
if token ~= '' then redis.call('HSET', fences, lease, token) end
if text == '' then
  redis.call('ZREM', versions, id)
  redis.call('HDEL', documents, id)
  redis.call('HSET', removals, collection, version)
else
  redis.call('ZADD', versions, version, id)
  redis.call('HSET', documents, id, version .. ' ' .. text)
end
return number
`;
export const putScript = script(`#!lua${write}`);
// Who has no memory left must be able to remove.
export const removeScript = script(`#!lua flags=allow-oom${write}`);

/**
 * Keys: versions, documents, newest version, removals, changes. Values: collection, the version that
 * the reader goes on from ('' when that was checked), after which version this page begins, how many
 * documents and bytes it has, after which version a removal matters. Gives the texts, the newest version, and
 * with the last page the ids of all documents if a removal matters; nothing at all when the reader's
 * version is none of this history.
 */
export const pageScript = script(`#!lua flags=no-writes
local versions, documents, newest, removals, changes = unpack(KEYS)
local collection, since, after, size, bytes, removal = unpack(ARGV)
local now = redis.call('GET', newest) or '0'
if since ~= '' and since ~= '0' and since ~= now then
  if #redis.call('XRANGE', changes, since .. '-0', since .. '-0') == 0 then return false end
end
local ids = redis.call('ZRANGE', versions, '(' .. after, '+inf', 'BYSCORE', 'LIMIT', 0, size)
local texts, length = {}, 0
for index, id in ipairs(ids) do
  if length > tonumber(bytes) then break end
  texts[index] = redis.call('HGET', documents, id)
  length = length + #texts[index]
end
local last = #ids < tonumber(size) and #texts == #ids
local all = false
if last and tonumber(redis.call('HGET', removals, collection) or 0) > tonumber(removal) then
  all = redis.call('ZRANGE', versions, 0, -1)
end
return {ids, texts, now, last and 1 or 0, all}
`);

/** Keys: lease, tokens. Values: name, holder, time to live. Gives the token, or '' when it is held. */
export const acquireScript = script(`#!lua flags=allow-oom
local name, holder, ttl = unpack(ARGV)
local held = redis.call('GET', KEYS[1])
if held then
  local token, other = string.match(held, '^(%d+) (.*)$')
  if other ~= holder then return '' end
  redis.call('PEXPIRE', KEYS[1], ttl)
  return token
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local token = math.max(tonumber(redis.call('HGET', KEYS[2], name) or 0) + 1, now)
token = string.format('%.0f', token)
redis.call('HSET', KEYS[2], name, token)
redis.call('SET', KEYS[1], token .. ' ' .. holder, 'PX', ttl)
return token
`);

/** Key: lease. Values: token, time to live (0 frees it). Gives 1, or 0 when it is another's by now. */
export const renewScript = script(`#!lua flags=allow-oom
local held = redis.call('GET', KEYS[1])
if not held or string.match(held, '^%d+') ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`);
