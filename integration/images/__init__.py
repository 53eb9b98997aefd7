"""The images that tests pull, made on the spot: stand-ins under the originals' names, with their behaviour.

`content` says what an image is, `busybox` and `catalog` which there are, `store` turns them into blobs and manifests,
`registry_storage` and `mirrors` hand them out, `build` makes the whole into a layer of a node's root file system.
"""
