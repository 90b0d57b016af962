"""Image names out of what engines tell (state-tracking.md 10.1)."""

import pytest

from exporter.sources.runtimes.images import ImageName, cri_image, docker_image, split_name

HASH = "sha256:" + "0f" * 32


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("nginx", ("nginx", "")),
        ("nginx:1.25", ("nginx", "1.25")),
        ("reg.test:5000/team/app", ("reg.test:5000/team/app", "")),
        ("reg.test:5000/team/app:v1", ("reg.test:5000/team/app", "v1")),
        (f"reg.test:5000/app:v1@{HASH}", ("reg.test:5000/app", "v1")),
        (f"app@{HASH}", ("app", "")),
        ("", ("", "")),
    ],
)
def test_split_name(name, parts):
    """The tag stands behind the last colon after the last slash; a digest belongs to neither."""
    assert parts == split_name(name)


@pytest.mark.parametrize(
    ("name", "tags", "digests", "expected"),
    [
        (
            "nginx:1.25",
            ["nginx:1.25", "nginx:latest"],
            [f"nginx@{HASH}"],
            ImageName("nginx:1.25", "nginx", "1.25", HASH),
        ),
        (
            "mine",
            ["other:2", "reg.test:5000/first:1"],
            [f"reg.test:5000/first@{HASH}", "other@sha256:00"],
            ImageName("mine", "reg.test:5000/first", "1", HASH),
        ),
        ("built", ["built:latest"], [], ImageName("built", "built", "latest", "")),
        ("gone:7", [], [], ImageName("gone:7", "gone", "7", "")),
        (HASH, [], [], ImageName(HASH, "", "", "")),
    ],
)
def test_docker_image(name, tags, digests, expected):
    """The first repository of the image wins, then its tag and digest are looked for."""
    assert expected == docker_image(name, tags, digests)


@pytest.mark.parametrize(
    ("name", "image_ref", "annotations", "expected"),
    [
        ("app:2", HASH, {}, ImageName("app:2", "app", "2", HASH)),
        (
            "docker.io/library/app:2",
            f"docker.io/library/app@{HASH}",
            {},
            ImageName("docker.io/library/app", "docker.io/library/app", "2", HASH),
        ),
        (
            HASH,
            f"reg.test:5000/app@{HASH}",
            {},
            # The tag of an image known by its hash is what stands behind the colon there.
            ImageName("reg.test:5000/app", "reg.test:5000/app", "0f" * 32, HASH),
        ),
        (
            HASH,
            HASH,
            {"io.kubernetes.cri.image-name": "reg.test/app:3"},
            ImageName("reg.test/app:3", "reg.test/app", "3", HASH),
        ),
        (
            "",
            "",
            {"io.kubernetes.cri-o.Image": "", "io.kubernetes.cri-o.ImageName": "app:4"},
            ImageName("app:4", "app", "4", ""),
        ),
        (HASH, HASH, {}, ImageName(HASH, "", "", HASH)),
        (f"app:5@{HASH}", "", {}, ImageName(f"app:5@{HASH}", "app", "5", HASH)),
    ],
)
def test_cri_image(name, image_ref, annotations, expected):
    """The reference gives name and digest, the status the tag, annotations a name that is lost."""
    assert expected == cri_image(name, image_ref, annotations)
