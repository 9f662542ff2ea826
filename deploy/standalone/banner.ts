/** What a person sees after `npm start`; every line can be used as printed. */
export function banner(facts: {
  readonly domain: string;
  /** Where clients reach the gateway, and where it listens. */
  readonly publicHttpsPort: number;
  readonly httpsPort: number;
  readonly apiPort: number;
  readonly caFile: string;
  /** Undefined when the password came from PODGATE_ADMIN_PASSWORD or an earlier start. */
  readonly passwordFile: string | undefined;
  /** The engine that runs images other than the built-in ones. */
  readonly containers: string | null;
}): string {
  const { domain, publicHttpsPort, httpsPort, apiPort, caFile, passwordFile, containers } = facts;
  const origin =
    publicHttpsPort === 443 ? `https://${domain}` : `https://${domain}:${publicHttpsPort}`;
  const pod = (id: string): string => origin.replace('://', `://${id}.pods.`);
  // Works whatever the resolver thinks of the domain, which on a laptop is often nothing.
  const curl = `curl -sf --connect-to ::127.0.0.1:${httpsPort} --cacert ${quote(caFile)}`;
  const password = passwordFile
    ? `'"$(cat ${quote(passwordFile)})"'`
    : `'"$PODGATE_ADMIN_PASSWORD"'`;
  return `
  Podgate is running. Ctrl-C stops it and its pods.

    Demo pod       ${pod('hello')}/
    REST API       ${origin}/v3        (also http://127.0.0.1:${apiPort}/v3)
    API docs       http://127.0.0.1:${apiPort}/v3/docs
    CA to trust    ${caFile}
    Containers     ${containers ?? 'none: built-in images only, as no engine answers (see README)'}
    Password       user admin, ${passwordFile ? `in ${passwordFile}` : 'the one in PODGATE_ADMIN_PASSWORD'}

  Get a token, create a pod, reach it:

TOKEN=$(${curl} ${origin}/v3/oauth2/tokens -H 'Content-Type: application/json' -d '{"grant_type":"password","username":"admin","password":"${password}"}' | node -p 'JSON.parse(fs.readFileSync(0)).result.access_token.access_token')

${curl} ${origin}/v3/pods -H "X-Tapis-Token: $TOKEN" -H 'Content-Type: application/json' -d '{"pod_id":"mypod","image":"podgate/hello"}'

${curl} --retry 10 ${pod('mypod')}/

`;
}

/** A shell word, quoted only where it must be. */
function quote(word: string): string {
  return /^[\w./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
