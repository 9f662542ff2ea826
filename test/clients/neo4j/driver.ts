import process from 'node:process';
import neo4j from 'neo4j-driver';

/** Connects by Neo4j's npm driver with the URI a user types; prints the answers as JSON. */

const { HOST, PORT, USERNAME = '', PASSWORD = '' } = process.env;

async function ask(scheme: string): Promise<unknown> {
  const auth = neo4j.auth.basic(USERNAME, PASSWORD);
  const driver = neo4j.driver(`${scheme}://${HOST}:${PORT}`, auth, {
    disableLosslessIntegers: true,
  });
  try {
    const { records } = await driver.executeQuery(
      'unwind range(1, 5000) as n return n * $factor as product',
      { factor: neo4j.int(3) },
    );
    return [records.length, records.at(-1)?.get('product')];
  } finally {
    await driver.close();
  }
}

const seen = { 'bolt+s': await ask('bolt+s'), 'neo4j+s': await ask('neo4j+s') };
process.stdout.write(JSON.stringify(seen));
