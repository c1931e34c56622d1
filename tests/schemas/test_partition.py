"""Every Kafka client puts an aggregate where we do."""

from aiokafka.partitioner import murmur2 as theirs
from hypothesis import given
from hypothesis import strategies as st

from schemas.partition import murmur2, partition_of


@given(st.binary(max_size=80))
def test_it_is_the_hash_of_other_clients(key: bytes):
    assert murmur2(key) == theirs(key) & 0xFFFFFFFF


def test_it_is_javas():
    """From Kafka's own UtilsTest, its `testMurmur2`."""
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    assert {key: murmur2(key) for key in known} == {key: value & 0xFFFFFFFF for key, value in known.items()}


@given(st.text(max_size=40), st.integers(1, 64))
def test_it_is_one_of_the_partitions(aggregate_id: str, partitions: int):
    assert 0 <= partition_of(aggregate_id, partitions) < partitions
