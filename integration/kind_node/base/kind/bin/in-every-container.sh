#!/bin/bash
# A createContainer hook, as kind has one: it finds the bundle in the state on its standard input, and leaves a file.
set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
bundle=$(jq -r .bundle)
cp /kind/product_uuid "$bundle/rootfs/"
