"""Ownership and permission checks of cache files and folders, whose machine code is executed as the current user.

# Design: the checks are like those of ssh for its keys. Trusted users are the current user, root, and the owner of "/",
# which is root even if a container maps it to another user ID. Group write permission is accepted for private groups,
# whose only member is the owner, as many systems create them. On systems without owners and modes, which protect the
# folders of users in other ways, there are no checks.
"""

import os
import stat
from pathlib import Path

HAS_OWNERS = os.name == "posix"


def is_ours(status):
    """Whether only trusted users can have written to the file with this `os.stat_result`."""
    return not HAS_OWNERS or (_is_trusted(status.st_uid) and not _others_can_write(status))


def exposure(folder, parents=True):
    """Description of why other users can modify the contents of a folder; None if they cannot.

    The path must be absolute and resolved. With `parents`, the parent folders are checked as well; these may be
    writable by other users if their sticky bit is set, which prevents renaming the files of others.
    """
    if not HAS_OWNERS:
        return None
    for path in (folder, *folder.parents) if parents else (folder,):
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode):
            return f"{path} is a link or a file, not a folder"
        if not _is_trusted(status.st_uid):
            return f"{path} is owned by another user (user ID {status.st_uid})"
        if _others_can_write(status) and (path == folder or not status.st_mode & stat.S_ISVTX):
            return f"other users can write to {path}"
    return None


def make_private(folder):
    """Create a folder and its missing parents, accessible only to the current user."""
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
    """Whether the group is the user's private group, with no other members."""
    try:
        import grp
        import pwd

        user, group = pwd.getpwuid(uid), grp.getgrgid(gid)
    except (ImportError, KeyError):  # no user database, or no entry for an ID
        return False
    own = user.pw_gid == gid and user.pw_name == group.gr_name
    return own and set(group.gr_mem) <= {user.pw_name}
