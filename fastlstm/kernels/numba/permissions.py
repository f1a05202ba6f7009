"""Whether another user could have put something into a file or folder: machine code from there is run as this user's.

# Design: as ssh does for its keys. Trusted are this user and root, and whoever owns "/", which is root where a
# container gives it another number. A group may write where it is the owner's alone, as many systems make it. Systems
# without owners and modes guard the folders of users in other ways: nothing is asked there.
"""

import os
import stat
from pathlib import Path

HAS_OWNERS = os.name == "posix"


def is_ours(status):
    """Whether nobody else can have written to the file of this status."""
    return not HAS_OWNERS or (_is_trusted(status.st_uid) and not _others_can_write(status))


def exposure(folder, parents=True):
    """Why others may change what is in the folder, in words; None if they cannot.

    folder: absolute and without links on the way to it. With `parents`, the folders above are looked at, too; they may
    be open to all where nobody can move what is another's (the sticky bit).
    """
    if not HAS_OWNERS:
        return None
    for path in (folder, *folder.parents) if parents else (folder,):
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode):
            return f"{path} is a link or a file, not a folder"
        if not _is_trusted(status.st_uid):
            return f"{path} belongs to another user, with the id {status.st_uid}"
        if _others_can_write(status) and (path == folder or not status.st_mode & stat.S_ISVTX):
            return f"other users can write to {path}"
    return None


def make_private(folder):
    """Make a folder, and those above it that are missing, for this user alone."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)


def _is_trusted(uid):
    return uid in (os.geteuid(), 0, Path("/").stat().st_uid)


def _others_can_write(status):
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not _is_private_group(status.st_uid, status.st_gid)


def _is_private_group(uid, gid):
    """Whether the group is the user's own, without other members."""
    try:
        import grp
        import pwd

        user, group = pwd.getpwuid(uid), grp.getgrgid(gid)
    except (ImportError, KeyError):  # numbers without names
        return False
    own = user.pw_gid == gid and user.pw_name == group.gr_name
    return own and set(group.gr_mem) <= {user.pw_name}
