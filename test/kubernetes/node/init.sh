#!/bin/sh
# The first process of a node: init.sh FOLDER KUBELET ARGUMENT... It has its own mounts and processes, which
# the kernel takes away with it.
set -eu
folder=$1
shift
for place in var/lib var/log run; do
  mkdir -p "$folder/$place"
  mount --bind "$folder/$place" "/$place"
done
# The kubelet sets these for the whole machine, where it is let.
for name in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops; do
  copy=$folder/sysctl-${name##*/}
  cat "/proc/sys/$name" >"$copy"
  mount --bind "$copy" "/proc/sys/$name"
done
containerd --config "$folder/containerd.toml" >"$folder/containerd.log" 2>&1 &
until [ -S /run/containerd/containerd.sock ]; do sleep 0.1; done
"$@" >"$folder/kubelet.log" 2>&1 &
# Whichever ends first is looked for in the logs; everybody else's zombies are taken here.
wait
