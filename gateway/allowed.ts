import { BlockList, isIP } from 'node:net';

type Blocks = readonly string[];

const compiled = new WeakMap<Blocks, BlockList>();

/**
 * Whether an address lies in one of the blocks, each an address or a CIDR block (RFC 4632, RFC 4291).
 * A list is compiled when it is first asked for and as long as it lives: hand in the same array.
 * A block that cannot be read admits nobody.
 */
export function inBlocks(blocks: Blocks, address: string): boolean {
  let list = compiled.get(blocks);
  if (!list) {
    list = compile(blocks);
    compiled.set(blocks, list);
  }
  // A link-local address names its interface behind a % (RFC 4007, 11).
  const [bare = ''] = address.split('%', 1);
  const version = isIP(bare);
  return version !== 0 && list.check(bare, version === 4 ? 'ipv4' : 'ipv6');
}

/** Whether a client may connect to what has this policy; everybody may where no list is. */
export function allowed(
  policy: { readonly allow?: Blocks | undefined } | undefined,
  address: string,
): boolean {
  return policy?.allow === undefined || inBlocks(policy.allow, address);
}

/** Whether `text` is an address or a CIDR block; nothing is guessed, 10.1 is neither. */
export function isBlock(text: string): boolean {
  const [address = '', prefix = '0', ...more] = text.split('/');
  const version = address.includes('%') ? 0 : isIP(address);
  if (version === 0 || more.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(prefix)) return false;
  return Number(prefix) <= (version === 4 ? 32 : 128);
}

function compile(blocks: Blocks): BlockList {
  const list = new BlockList();
  for (const block of blocks.filter(isBlock)) {
    const [address = '', prefix] = block.split('/');
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}
