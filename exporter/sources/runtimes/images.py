"""Image names: repository, tag and digest out of what engines tell of an image.

Source: spec/state-tracking.md section 10.1.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

_NAME_ANNOTATIONS = (
    "io.kubernetes.cri.image-name",
    "io.kubernetes.cri-o.Image",
    "io.kubernetes.cri-o.ImageName",
)
"""Where runtimes keep the name of an image that they know by its hash only."""

_HASH = "sha256:"


class ImageName(Struct, frozen=True):
    """An image as fields show it. name: as the container was started with it."""

    name: str = ""
    repository: str = ""
    tag: str = ""
    digest: str = ""


def split_name(name: str) -> tuple[str, str]:
    """Repository and tag of `host:port/repo:tag@digest`; the digest is dropped."""
    plain = name.partition("@")[0]
    head, colon, tag = plain.rpartition(":")
    # A colon before the last slash is that of a port.
    return (head, tag) if colon and "/" not in tag else (plain, "")


def docker_image(
    name: str, repo_tags: Sequence[str] = (), repo_digests: Sequence[str] = ()
) -> ImageName:
    """Names of an image of Docker or Podman: the first repository that the image tells wins.

    An image that was built here has no digest, one that lost its tag no name but the container's.
    """
    repository = tag = digest = ""
    for text in repo_digests:
        found, _, hashed = text.partition("@")
        repository = repository or found
        if found == repository:
            digest = hashed
            break
    for text in repo_tags:
        found, last = split_name(text)
        repository = repository or found
        if found == repository:
            tag = last
            break
    if not repository and not name.startswith(_HASH):
        repository, tag = split_name(name)
    return ImageName(name, repository, tag, digest)


def cri_image(name: str, image_ref: str, annotations: Mapping[str, str]) -> ImageName:
    """Names of an image as a CRI runtime tells them.

    name: the status's image. image_ref: `sha256:…`, or `host/image@sha256:…` where the registry's
    digest is known; the name is then without a tag, and the tag is that of the status's image.
    """
    repository, at, digest = image_ref.partition("@")
    tag = ""
    if at and digest.startswith(_HASH):
        tag = split_name(name)[1]
        name = repository
    else:
        digest = image_ref if image_ref.startswith(_HASH) else ""
    if not name or name.startswith("sha256"):
        name = next((annotations[key] for key in _NAME_ANNOTATIONS if annotations.get(key)), name)
    repository, own_tag = ("", "") if name.startswith(_HASH) else split_name(name)
    return ImageName(name, repository, own_tag or tag, digest or name.partition("@")[2])
