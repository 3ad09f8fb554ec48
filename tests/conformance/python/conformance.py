"""The event log through the Python client, whose gRPC stack and strictness differ from the Rust one's.

Usage: conformance.py <url>, for example kurrentdb://127.0.0.1:2113?tls=false
"""

import sys
import threading
import unittest
from uuid import uuid4

from kurrentdbclient import KurrentDBClient, NewEvent, StreamState
from kurrentdbclient.exceptions import (
    NotFoundError,
    StreamIsDeletedError,
    WrongCurrentVersionError,
)

URL = sys.argv[1] if len(sys.argv) > 1 else "kurrentdb://127.0.0.1:2113?tls=false"
# A subscription that stays silent for so long has failed.
PATIENCE_SECONDS = 20


def event(kind="Said", data=b"{}"):
    return NewEvent(type=kind, data=data, metadata=b'{"by":"python"}')


class EventLog(unittest.TestCase):
    def setUp(self):
        self.client = KurrentDBClient(URL)
        self.addCleanup(self.client.close)
        self.stream = f"python-{uuid4()}"

    def append(self, state, *events, stream=None):
        return self.client.append_to_stream(stream or self.stream, current_version=state, events=list(events))

    def ids(self, **options):
        return [found.id for found in self.client.get_stream(self.stream, **options)]

    def take(self, subscription, count):
        """The first events of a subscription, or a failure instead of waiting for ever."""
        watchdog = threading.Timer(PATIENCE_SECONDS, subscription.stop)
        watchdog.start()
        taken = []
        for found in subscription:
            taken.append(found)
            if len(taken) == count:
                break
        watchdog.cancel()
        subscription.stop()
        self.assertEqual(len(taken), count)
        return taken

    def test_expected_revisions(self):
        with self.assertRaises(WrongCurrentVersionError):
            self.append(StreamState.EXISTS, event())
        with self.assertRaises(WrongCurrentVersionError):
            self.append(0, event())
        self.append(StreamState.NO_STREAM, event(), event())
        with self.assertRaises(WrongCurrentVersionError):
            self.append(StreamState.NO_STREAM, event())
        with self.assertRaises(WrongCurrentVersionError):
            self.append(0, event())
        for state in (1, StreamState.EXISTS, StreamState.ANY):
            self.append(state, event())
        self.assertEqual(self.client.get_current_version(self.stream), 4)

    def test_repeats(self):
        first, second = [event(), event()], [event()]
        position = self.append(StreamState.NO_STREAM, *first)
        later = self.append(1, *second)
        self.assertEqual(self.append(StreamState.NO_STREAM, *first), position)
        self.assertEqual(self.append(StreamState.ANY, *first), position)
        self.assertEqual(self.append(1, *second), later)
        with self.assertRaises(WrongCurrentVersionError):
            self.append(0, first[1], second[0], event())
        self.assertEqual(len(self.ids()), 3)

    def test_reads(self):
        events = [event(data=str(number).encode()) for number in range(30)]
        position = self.append(StreamState.NO_STREAM, *events)
        ids = [sent.id for sent in events]
        self.assertEqual(self.ids(), ids)
        self.assertEqual(self.ids(stream_position=10, limit=5), ids[10:15])
        self.assertEqual(self.ids(backwards=True), ids[::-1])
        self.assertEqual(self.ids(backwards=True, stream_position=9, limit=3), [ids[9], ids[8], ids[7]])
        found = self.client.get_stream(self.stream)
        self.assertEqual([one.stream_position for one in found], list(range(30)))
        self.assertEqual(found[-1].commit_position, position)
        self.assertEqual((found[3].data, found[3].metadata), (b"3", b'{"by":"python"}'))
        self.assertIsNotNone(found[0].recorded_at)
        with self.assertRaises(NotFoundError):
            self.client.get_stream(f"never-{uuid4()}")

    def test_whole_log(self):
        before = self.append(StreamState.ANY, event())
        last = self.append(StreamState.ANY, event("Started"), event("Ended"))
        forwards = list(self.client.read_all(commit_position=before))
        own = [one.type for one in forwards if one.stream_name == self.stream]
        self.assertEqual(own, ["Said", "Started", "Ended"], "forwards includes the position")
        backwards = list(self.client.read_all(commit_position=last, backwards=True, limit=1))
        self.assertEqual(backwards[0].type, "Started", "backwards excludes the position")
        types = self.client.read_all(commit_position=before, filter_include="Start.*")
        self.assertEqual({one.type for one in types}, {"Started"})
        streams = self.client.read_all(
            commit_position=before, filter_include=[self.stream], filter_by_stream_name=True
        )
        self.assertEqual([one.stream_name for one in streams], [self.stream] * 3)
        self.assertEqual(self.client.get_commit_position(), last)

    def test_stream_subscription(self):
        self.append(StreamState.NO_STREAM, event(), event(), event())
        subscription = self.client.subscribe_to_stream(self.stream, stream_position=0)
        later = threading.Timer(0.3, lambda: self.append(2, event("Live")))
        later.start()
        taken = self.take(subscription, 3)
        later.join()
        self.assertEqual([one.stream_position for one in taken], [1, 2, 3])
        self.assertEqual(taken[-1].type, "Live")

    def test_filtered_subscription_resumes_from_a_checkpoint(self):
        start = self.append(StreamState.ANY, event())
        other = f"other-{uuid4()}"
        for _ in range(10):
            self.append(StreamState.ANY, *[event("Noise") for _ in range(5)], stream=other)
            self.append(StreamState.ANY, event("Wanted"))
        options = {
            "filter_include": ["Wanted"],
            "include_checkpoints": True,
            "window_size": 4,
            "checkpoint_interval_multiplier": 1,
        }
        subscription = self.client.subscribe_to_all(commit_position=start, **options)
        seen, checkpoint = [], None
        for found in subscription:
            if hasattr(found, "is_checkpoint") and found.is_checkpoint:
                checkpoint = found.commit_position
                if len(seen) >= 4:
                    break
            elif not getattr(found, "is_caught_up", False):
                seen.append(found.id)
        subscription.stop()
        subscription = self.client.subscribe_to_all(commit_position=checkpoint, filter_include=["Wanted"])
        seen += [one.id for one in self.take(subscription, 10 - len(seen))]
        stored = [one.id for one in self.client.get_stream(self.stream) if one.type == "Wanted"]
        self.assertEqual(seen, stored)

    def test_delete_and_revive(self):
        with self.assertRaises(NotFoundError):
            self.client.delete_stream(self.stream, current_version=StreamState.ANY)
        self.append(StreamState.NO_STREAM, event(), event())
        with self.assertRaises(WrongCurrentVersionError):
            self.client.delete_stream(self.stream, current_version=0)
        self.client.delete_stream(self.stream, current_version=1)
        with self.assertRaises(NotFoundError):
            self.client.get_stream(self.stream)
        with self.assertRaises(StreamIsDeletedError):
            self.client.delete_stream(self.stream, current_version=StreamState.EXISTS)
        self.append(StreamState.NO_STREAM, event("Again"))
        found = self.client.get_stream(self.stream)
        self.assertEqual([(one.type, one.stream_position) for one in found], [("Again", 2)])

    def test_tombstone(self):
        self.append(StreamState.NO_STREAM, event())
        with self.assertRaises(WrongCurrentVersionError):
            self.client.tombstone_stream(self.stream, current_version=7)
        self.client.tombstone_stream(self.stream, current_version=0)
        with self.assertRaises(StreamIsDeletedError):
            self.client.tombstone_stream(self.stream, current_version=0)
        with self.assertRaises(StreamIsDeletedError):
            self.client.get_stream(self.stream)
        with self.assertRaises(StreamIsDeletedError):
            self.append(StreamState.ANY, event())

    def test_metadata(self):
        self.append(StreamState.NO_STREAM, *[event() for _ in range(5)])
        metadata, version = self.client.get_stream_metadata(self.stream)
        self.assertEqual((metadata, version), ({}, StreamState.NO_STREAM))
        metadata = {"$maxCount": 2, "owner": "tally"}
        self.client.set_stream_metadata(self.stream, metadata=metadata, current_version=version)
        metadata, version = self.client.get_stream_metadata(self.stream)
        self.assertEqual((metadata, version), ({"$maxCount": 2, "owner": "tally"}, 0))
        self.assertEqual([one.stream_position for one in self.client.get_stream(self.stream)], [3, 4])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "--verbose"])
