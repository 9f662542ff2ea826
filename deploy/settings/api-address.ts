import { z } from 'zod';
import { group } from './group.ts';

const addressPattern = /^(?:\[(?<six>[0-9a-fA-F:.]+)\]|(?<name>[^:[\]\s,]+)):(?<port>\d{1,5})$/;

const address = z.string().transform((text, context) => {
  const { six, name, port } = addressPattern.exec(text)?.groups ?? {};
  const host = six ?? name;
  if (host !== undefined && Number(port) >= 1 && Number(port) <= 65_535)
    return { host, port: Number(port) };
  context.addIssue(
    'must be host:port, or several of them with commas between, such as api-1:3000,api-2:3000',
  );
  return z.NEVER;
});

/** Where a gateway that runs alone finds the REST API. */
export const apiAddress = group({
  shape: {
    PODGATE_API_ADDRESS: z
      .string()
      .default('127.0.0.1:3000')
      .transform((list) => list.split(/[\s,]+/).filter((each) => each !== ''))
      .pipe(z.tuple([address], address, 'is empty')),
  },
  choose: (values) => values.PODGATE_API_ADDRESS,
});
