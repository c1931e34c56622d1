from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from schemas.merkle import Tree


def root_by_the_rfc(leaves: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.1, as it is written there."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + root_by_the_rfc(leaves[:k]) + root_by_the_rfc(leaves[k:])).digest()


@given(st.lists(st.binary(max_size=40), max_size=70))
def test_the_root_that_grows_is_the_root_of_the_rfc(leaves: list[bytes]):
    tree = Tree()
    for count, leaf in enumerate(leaves, start=1):
        tree.add(leaf)
        assert tree.root() == root_by_the_rfc(leaves[:count])
    assert (tree.size, tree.root()) == (len(leaves), root_by_the_rfc(leaves))


def test_of_nothing_it_is_the_hash_of_nothing():
    assert Tree().root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
