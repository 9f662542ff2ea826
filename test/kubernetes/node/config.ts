import { cgroupOf } from './leftovers.ts';

/** What the programs of a node are told. All of it lies in the node's folder. */

export interface NodePlace {
  readonly folder: string;
  /** Of the node itself, which is that of the bridge its pods are on. */
  readonly address: string;
  readonly bridge: string;
  /** Of the kubelet's API. */
  readonly port: number;
  readonly image: string;
  /** Where images of `podgate.invalid` are asked for, as `host:port`. */
  readonly registry: string;
}

export const networkOf = ({ address }: Pick<NodePlace, 'address'>): string =>
  address.replace(/\d+$/, '0/24');

/** Every file, by its path in the folder. YAML reads JSON. */
export const filesOf = (place: NodePlace): Readonly<Record<string, string>> => ({
  'kubelet.yaml': JSON.stringify(kubelet(place)),
  'containerd.toml': containerd(place),
  'cni/podgate.conflist': JSON.stringify(cni(place)),
  'registries/podgate.invalid/hosts.toml': registry(`http://${place.registry}`),
  'resolv.conf': 'nameserver 127.0.0.1\n',
});

const kubelet = ({ folder, address, port }: NodePlace) => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  address,
  port,
  readOnlyPort: 0,
  healthzPort: 0,
  // It listens on a bridge of this machine only.
  authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
  authorization: { mode: 'AlwaysAllow' },
  containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
  cgroupDriver: 'cgroupfs',
  cgroupRoot: `/${cgroupOf(folder)}`,
  cgroupsPerQOS: false,
  enforceNodeAllocatable: [],
  failSwapOn: false,
  failCgroupV1: false,
  // Nothing of this machine is changed, and a full disk is not our business.
  makeIPTablesUtilChains: false,
  evictionHard: { 'memory.available': '0%', 'nodefs.available': '0%', 'imagefs.available': '0%' },
  imageGCHighThresholdPercent: 100,
  // By default it gives nothing of what a program wrote before its newest 10 MiB or so.
  containerLogMaxSize: '200Mi',
  resolvConf: `${folder}/resolv.conf`,
  clusterDNS: [address],
});

const containerd = ({ folder, image }: NodePlace): string => `
version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${image}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "${folder}/cni"
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "${folder}/registries"
`;

/** Whom it asks first, and whom when that one does not have it. */
const registry = (url: string): string => `server = "${url}"\n[host."${url}"]\n`;

const cni = (place: NodePlace) => ({
  cniVersion: '0.4.0',
  name: 'podgate',
  plugins: [
    {
      type: 'bridge',
      bridge: place.bridge,
      // As a gateway it would have the machine forward for everybody.
      isGateway: false,
      ipam: {
        type: 'host-local',
        ranges: [[{ subnet: networkOf(place), rangeStart: place.address.replace(/\d+$/, '10') }]],
      },
    },
  ],
});
