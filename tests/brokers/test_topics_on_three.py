"""The log's topics on three brokers, as `logistics topics` judges them."""

from world import PARTITIONS, World

from infra.kafka import client_args, ensure_topics
from infra.settings import Settings
from infra.topics import states


async def test_topics_with_a_replica_on_each_are_as_the_log_needs_them(world: World):
    settings = Settings(kafka=world.kafka, partitions=PARTITIONS, replication=3)
    assert await ensure_topics(settings, client_args(settings)) == []
    found = await states(settings)
    assert {topic.replicas for topic in found} == {3}
    assert [told for topic in found for told in topic.deviations] == []


async def test_topics_that_are_not_on_the_disk_first_are_told_where_that_is_asked_for(world: World):
    settings = Settings(kafka=world.kafka, partitions=PARTITIONS, replication=3, fsync="on")
    told = [told for topic in await states(settings) for told in topic.deviations]
    assert told
    assert all("flush.messages is" in each for each in told)
