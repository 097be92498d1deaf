#!/bin/sh
# Makes the installer package of what is staged: make.sh STAGE VERSION OUT.pkg
#
# Runs on a Mac with Apple's command line tools. Whoever has an Apple identity says so:
#   PLANETARY_APPLE_APPLICATION  "Developer ID Application: …", for the programs
#   PLANETARY_APPLE_INSTALLER    "Developer ID Installer: …", for the package
#   PLANETARY_APPLE_PROFILE      a profile of `xcrun notarytool store-credentials`, to notarise it
# Without the first, programs are signed for this Mac only, which tests need and others refuse.
set -eu

if [ $# -ne 3 ]; then
  echo "usage: make.sh STAGE VERSION OUT.pkg" >&2
  exit 2
fi
stage=$1 version=$2 out=$3
application=${PLANETARY_APPLE_APPLICATION:-}
installer=${PLANETARY_APPLE_INSTALLER:-}
profile=${PLANETARY_APPLE_PROFILE:-}

for tool in codesign pkgbuild productbuild; do
  if ! command -v "$tool" >/dev/null; then
    echo "$tool is missing: this needs a Mac with Apple's command line tools" >&2
    exit 1
  fi
done
if [ -n "$profile" ] && { [ -z "$application" ] || [ -z "$installer" ]; }; then
  echo "only what is signed with both identities can be notarised" >&2
  exit 1
fi

sign() {
  if [ -n "$application" ]; then
    codesign --force --options runtime --timestamp --sign "$application" "$1"
  else
    codesign --force --sign - "$1"
  fi
}

app="$stage/root/Applications/Planetary Network.app"
if [ ! -x "$app/Contents/MacOS/planetary-network" ]; then
  echo "the app is not staged: $app has no program" >&2
  exit 1
fi
sign "$stage/root/usr/local/bin/planetaryd"
sign "$stage/root/usr/local/bin/planetary"
# The bundle last: its signature covers what is in it.
sign "$app"
codesign --verify --deep --strict "$app"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pkgbuild --root "$stage/root" --component-plist "$stage/components.plist" \
  --scripts "$stage/scripts" --identifier net.planetary.PlanetaryNetwork \
  --version "$version" --ownership recommended --install-location / "$work/component.pkg"
if [ -n "$installer" ]; then
  productbuild --distribution "$stage/distribution.xml" --package-path "$work" \
    --resources "$stage/resources" --sign "$installer" --timestamp "$out"
else
  productbuild --distribution "$stage/distribution.xml" --package-path "$work" \
    --resources "$stage/resources" "$out"
fi

if [ -n "$profile" ]; then
  xcrun notarytool submit "$out" --keychain-profile "$profile" --wait
  xcrun stapler staple "$out"
  spctl --assess --type install "$out"
else
  echo "not notarised: people are warned when they open $out"
fi
