#!/usr/bin/env bash
# Builds the release of the commit twice, in two places and with a throw-away key, and
# checks it: the same bytes, checksums, signatures, and an image that runs as its user
# on a file system that it cannot write.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=$(git describe --tags --always)
commit=$(git rev-parse HEAD) # which may change while this builds
openssl ecparam -name prime256v1 -genkey -noout -out "$work/key.pem"
arguments=(-version "$version" -commit "$commit" -date "$(TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd "$commit")" -key "$work/key.pem")

echo "building $version in two copies of the tree"
for copy in first second/deeper; do
  mkdir -p "$work/$copy"
  git archive "$commit" | tar -x -C "$work/$copy"
  # The list of files of deploy comes from git.
  git -C "$work/$copy" init -q && git -C "$work/$copy" add -A
  (cd "$work/$copy" && go run ./build/release "${arguments[@]}" -out "$work/$copy.out")
done
diff -r "$work/first.out" "$work/second/deeper.out"
echo "both have the same bytes:"
cd "$work/first.out"
sha256sum -c SHA256SUMS
base64 -d SHA256SUMS.sig >"$work/sig"
openssl dgst -sha256 -verify latchkey.pub -signature "$work/sig" SHA256SUMS

# The image of this machine's platform, unpacked.
mkdir "$work/layout" "$work/root"
tar -xf ./*_image.tar -C "$work/layout"
blob() { echo "$work/layout/blobs/sha256/${1#sha256:}"; }
arch=$(go env GOARCH)
index=$(blob "$(jq -r '.manifests[0].digest' "$work/layout/index.json")")
image=$(blob "$(jq -r --arg a "$arch" '.manifests[] | select(.platform.architecture == $a) | .digest' "$index")")
user=$(jq -r .config.User "$(blob "$(jq -r .config.digest "$image")")")
for layer in $(jq -r '.layers[].digest' "$image"); do
  tar -xzf "$(blob "$layer")" -C "$work/root"
done
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
  unshare -m sh -c 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && ! touch "$1/written" 2>/dev/null && exec chroot --userspec="$2" "$1" /latchkey version' sh "$work/root" "$user"
  echo "the image runs as $user on a read-only file system"
else
  echo "the image was not run: that needs root and namespaces"
fi
