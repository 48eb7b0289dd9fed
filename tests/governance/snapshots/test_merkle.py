"""Merkle trees against the vectors of the Certificate Transparency reference implementation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import SnapshotError, VerificationError
from governance.snapshots.merkle import inclusion_proof, leaf_digest, merkle_root, verify_inclusion

CT_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_PATHS = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
leaf_lists = st.lists(st.binary(max_size=4), min_size=1, max_size=40)


@pytest.mark.parametrize("num_leaves", range(1, 9))
def test_roots_are_those_of_the_reference_implementation(num_leaves: int) -> None:
    assert merkle_root(iter(CT_LEAVES[:num_leaves])) == CT_ROOTS[num_leaves - 1]


@pytest.mark.parametrize(("index", "num_leaves", "path"), CT_PATHS)
def test_audit_paths_are_those_of_the_reference_implementation(
    index: int, num_leaves: int, path: list[str]
) -> None:
    assert list(inclusion_proof(CT_LEAVES[:num_leaves], index)) == path
    verify_inclusion(CT_LEAVES[index], index, num_leaves, path, CT_ROOTS[num_leaves - 1])


def test_an_empty_tree_is_refused() -> None:
    with pytest.raises(SnapshotError, match="at least one leaf"):
        merkle_root([])


def test_a_leaf_that_looks_like_a_node_gives_another_root() -> None:
    node = leaf_digest(b"a") + leaf_digest(b"b")
    assert merkle_root([node]) != merkle_root([b"a", b"b"])


@given(leaves=leaf_lists, data=st.data())
def test_every_leaf_proves_its_place(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    verify_inclusion(leaves[index], index, len(leaves), inclusion_proof(leaves, index), merkle_root(leaves))


@given(leaves=leaf_lists, data=st.data())
def test_a_foreign_leaf_proves_nothing(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = inclusion_proof(leaves, index)
    with pytest.raises(VerificationError, match="leads to"):
        verify_inclusion(leaves[index] + b"!", index, len(leaves), proof, merkle_root(leaves))


@pytest.mark.parametrize(
    ("proof", "message"),
    [
        ([], "below the root"),
        (["00" * 32] * 9, "longer than the tree"),
        (["zz"], "not a hex digest"),
        (["00"], "1 bytes"),
    ],
)
def test_malformed_proofs_are_refused(proof: list[str], message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        verify_inclusion(CT_LEAVES[0], 0, 8, proof, CT_ROOTS[7])


@pytest.mark.parametrize("index", [-1, 8])
def test_a_place_outside_the_tree_is_refused(index: int) -> None:
    with pytest.raises(VerificationError, match="no leaf"):
        verify_inclusion(b"", index, 8, [], CT_ROOTS[7])
    with pytest.raises(IndexError):
        inclusion_proof(CT_LEAVES, index)


def test_a_hundred_thousand_leaves_are_no_trouble() -> None:
    leaves = [index.to_bytes(4, "big") for index in range(100_000)]
    verify_inclusion(leaves[99_999], 99_999, 100_000, inclusion_proof(leaves, 99_999), merkle_root(leaves))
