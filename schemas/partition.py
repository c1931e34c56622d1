"""Which partition a key goes to: as in Kafka's own default partitioner, so that any client can co-partition."""

from aiokafka.partitioner import murmur2


def partition_of(key: str, partitions: int) -> int:
    return int(murmur2(key.encode()) & 0x7FFFFFFF) % partitions
