"""The same backfill with Python's tools, for `cargo bench --bench backfill`: `slug` from `name` in `users`.

The argument says how: `pymongo` (find and bulk_write, one thread), `mongomig` (its batches) or `mongomig-transactional`. The server is
in MONGO_URI, the database in MONGO_DATABASE. It needs the packages pymongo and mongomig.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

TODO = {"slug": {"$exists": False}}
SIZE = 1000

CONFIG = """\
database:
  uri: ${MONGO_URI}
  name: ${MONGO_DATABASE}
migrations:
  directory: migrations
"""

ENVIRONMENT = """\
from mongomig import MongoMetadata

target_metadata = MongoMetadata.default(storage="python")
"""

MIGRATION = '''\
"""Slugs."""

from pymongo import UpdateOne

revision = "slugs"
down_revision = None
branch_labels = None
depends_on = None
reversible = True
snapshot_hash = None
mongomig_format = 1


def upgrade(ctx):
    users = ctx.collection("users")
    todo = {{"slug": {{"$exists": False}}}}
    batches = ctx.batches("users", todo, projection={{"name": 1}}, batch_size={size}, transactional={transactional})
    for batch in batches:
        writes = [
            UpdateOne({{"_id": user["_id"]}}, {{"$set": {{"slug": user["name"].lower().replace(" ", "-")}}}})
            for user in batch
        ]
        session = {{"session": batch.session}} if {transactional} else {{}}
        users.bulk_write(writes, ordered=False, **session)


def downgrade(ctx):
    pass
'''


def with_pymongo() -> None:
    from pymongo import MongoClient, UpdateOne, WriteConcern

    client = MongoClient(os.environ["MONGO_URI"])
    users = client[os.environ["MONGO_DATABASE"]].get_collection("users", write_concern=WriteConcern("majority", j=True))
    writes = []
    for user in users.find(TODO, {"name": 1}):
        slug = user["name"].lower().replace(" ", "-")
        writes.append(UpdateOne({"_id": user["_id"]}, {"$set": {"slug": slug}}))
        if len(writes) == SIZE:
            users.bulk_write(writes, ordered=False)
            writes = []
    if writes:
        users.bulk_write(writes, ordered=False)


def with_mongomig(transactional: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        migrations = Path(folder, "migrations")
        (migrations / "versions").mkdir(parents=True)
        Path(folder, "mongomig.yaml").write_text(CONFIG)
        (migrations / "env.py").write_text(ENVIRONMENT)
        text = MIGRATION.format(size=SIZE, transactional=transactional)
        (migrations / "versions" / "slugs.py").write_text(text)
        subprocess.run([Path(sys.executable).parent / "mongomig", "upgrade"], cwd=folder, check=True)


HOW = {
    "pymongo": with_pymongo,
    "mongomig": lambda: with_mongomig(transactional=False),
    "mongomig-transactional": lambda: with_mongomig(transactional=True),
}

HOW[sys.argv[1]]()
