import type { Seed } from './seed.ts';

/** Templates whose images need a container engine or Kubernetes. */

const user = '<<TAPIS_user_username>>';
const password = '<<TAPIS_user_password>>';

/** Half a core and half a GiB asked for. */
const small = { cpu_request: 500, cpu_limit: 2000, mem_request: 512, mem_limit: 2048 };
const large = { cpu_request: 1000, cpu_limit: 4000, mem_request: 2048, mem_limit: 8192 };

export const containerSeeds = (publicHttpsPort: number): readonly Seed[] => [
  neo4j(`<<TAPIS_pod_host>>:${publicHttpsPort}`),
  ...databases,
  ...workplaces,
  ...services,
];

const neo4j = (address: string): Seed => ({
  templateId: 'neo4j',
  description:
    "Neo4j 5: bolt+s on the pod's address as user neo4j with the pod's password; the browser on -browser.",
  metatags: ['database', 'graph'],
  definition: {
    image: 'neo4j:5',
    environment_variables: {
      NEO4J_AUTH: `neo4j/${password}`,
      NEO4J_server_bolt_advertised__address: address,
      NEO4J_dbms_usage__report_enabled: 'false',
    },
    networking: {
      default: { protocol: 'tcp', port: 7687 },
      browser: { protocol: 'http', port: 7474 },
    },
    resources: large,
  },
});

const databases: readonly Seed[] = [
  {
    templateId: 'postgres',
    description:
      "PostgreSQL 17, over TLS with the pod's credentials; the database is called postgres.",
    metatags: ['database', 'sql'],
    definition: {
      image: 'postgres:17',
      environment_variables: {
        POSTGRES_USER: user,
        POSTGRES_PASSWORD: password,
        POSTGRES_DB: 'postgres',
      },
      networking: { default: { protocol: 'postgres', port: 5432 } },
      resources: small,
    },
  },
  {
    templateId: 'mongo',
    description: "MongoDB 8, over TLS with the pod's credentials.",
    metatags: ['database', 'documents'],
    definition: {
      image: 'mongo:8',
      environment_variables: {
        MONGO_INITDB_ROOT_USERNAME: user,
        MONGO_INITDB_ROOT_PASSWORD: password,
      },
      networking: { default: { protocol: 'tcp', port: 27_017 } },
      resources: small,
    },
  },
  {
    templateId: 'mariadb',
    description:
      'MariaDB 11 for other pods only: in its protocol the server speaks first and TLS starts later, so no gateway can tell by name which pod is meant.',
    metatags: ['database', 'sql'],
    definition: {
      image: 'mariadb:11',
      environment_variables: {
        MARIADB_USER: user,
        MARIADB_PASSWORD: password,
        MARIADB_ROOT_PASSWORD: password,
        MARIADB_DATABASE: 'app',
      },
      networking: { default: { protocol: 'local_only', port: 3306 } },
      resources: small,
    },
  },
];

const workplaces: readonly Seed[] = [
  {
    templateId: 'jupyter',
    description: "JupyterLab with Python; the token is the pod's password.",
    metatags: ['notebook', 'python'],
    definition: {
      image: 'quay.io/jupyter/minimal-notebook',
      environment_variables: { JUPYTER_TOKEN: password },
      networking: { default: { protocol: 'http', port: 8888 } },
      resources: large,
    },
  },
  {
    templateId: 'codeserver',
    description: "VS Code in the browser (code-server); asks for the pod's password.",
    metatags: ['editor'],
    definition: {
      image: 'codercom/code-server',
      environment_variables: { PASSWORD: password },
      networking: { default: { protocol: 'http', port: 8080 } },
      resources: large,
    },
  },
  {
    templateId: 'ollama',
    description:
      'Ollama: language models behind an HTTP API. It asks nobody who they are: allow addresses.',
    metatags: ['models'],
    definition: {
      image: 'ollama/ollama',
      networking: { default: { protocol: 'http', port: 11_434 } },
      resources: { ...large, cpu_limit: 6000, mem_limit: 12_288 },
    },
  },
  {
    templateId: 'openwebui',
    description:
      'Open WebUI, a chat for models. Set OLLAMA_BASE_URL to an ollama pod; the first who signs up is admin.',
    metatags: ['models', 'chat'],
    definition: {
      image: 'ghcr.io/open-webui/open-webui',
      environment_variables: { WEBUI_SECRET_KEY: password },
      networking: { default: { protocol: 'http', port: 8080 } },
      resources: large,
    },
  },
];

const services: readonly Seed[] = [
  {
    templateId: 'bookstack',
    description:
      'BookStack, a wiki. Make a pod bookdb from mariadb first, and give DB_USERNAME and DB_PASSWORD as its credentials are.',
    metatags: ['wiki'],
    definition: {
      image: 'lscr.io/linuxserver/bookstack',
      environment_variables: {
        DB_HOST: 'bookdb',
        DB_PORT: '3306',
        DB_DATABASE: 'app',
        DB_USERNAME: 'bookdb',
      },
      networking: { default: { protocol: 'http', port: 80 } },
      resources: small,
    },
  },
  {
    templateId: 'uptimekuma',
    description:
      'Uptime Kuma watches addresses and tells when they fail. The first visitor sets its password.',
    metatags: ['monitoring'],
    definition: {
      image: 'louislam/uptime-kuma:1',
      networking: { default: { protocol: 'http', port: 3001 } },
      resources: small,
    },
  },
  {
    templateId: 'nginx',
    description:
      'nginx without root, with its welcome page; build on it with an image of your own.',
    metatags: ['web'],
    definition: {
      image: 'nginxinc/nginx-unprivileged:1.28',
      networking: { default: { protocol: 'http', port: 8080 } },
      resources: { cpu_request: 250, cpu_limit: 1000, mem_request: 256, mem_limit: 512 },
    },
  },
];
