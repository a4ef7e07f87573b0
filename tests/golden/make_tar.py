"""Tar archives as GNU tar and Python's tarfile write them, and where Python finds the members' data.

    python3 tests/golden/make_tar.py     # needs GNU tar
"""
import io, json, os, subprocess, tarfile, tempfile

folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tar")

contents = {
    b"a/plain.txt": b"plain",
    b"a/empty.txt": b"",
    b"a/block.txt": b"b" * 512,
    b"a/more.txt": b"m" * 513,
    b"a/caf\xc3\xa9.txt": b"utf-8",
    b"b/" + b"l" * 60 + b"/" + b"n" * 90 + b".txt": b"long",
}
# No room for these in the oldest headers.
extended = {b"b/" + b"v" * 200 + b"/" + b"w" * 200 + b".txt": b"very long", b"a/caf\xe9.txt": b"latin-1"}


def by_gnu_tar(form, files):
    with tempfile.TemporaryDirectory() as root:
        for name, data in files.items():
            path = os.path.join(os.fsencode(root), name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
        os.symlink("plain.txt", os.path.join(root, "a", "symbolic.txt"))
        os.link(os.path.join(root, "a", "plain.txt"), os.path.join(root, "a", "zzz.txt"))
        pax = ["--pax-option=delete=atime,delete=ctime"] if form == "posix" else []
        subprocess.run(
            ["tar", f"--format={form}", "-b1", "--owner=0", "--group=0", "--mtime=@1.5", "--sort=name", "--mode=644",
             *pax, "-C", root, "-cf", os.path.join(folder, f"gnu_{form}.tar"), "./a", "b"],
            check=True, env={**os.environ, "LC_ALL": "C"})


def by_python(form, files):
    formats = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", encoding="utf-8", format=formats[form], errors="surrogateescape") as archive:
        directory = tarfile.TarInfo("a")
        directory.type = tarfile.DIRTYPE
        archive.addfile(directory)
        for name, data in files.items():
            info = tarfile.TarInfo(os.fsdecode(name))
            info.size, info.mtime = len(data), 2.5 if form == "pax" else 2
            archive.addfile(info, io.BytesIO(data))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            link = tarfile.TarInfo("link.txt")
            link.type, link.linkname = kind, "a/plain.txt"
            archive.addfile(link)
    with open(os.path.join(folder, f"python_{form}.tar"), "wb") as file:
        file.write(stream.getvalue())


def members(path):
    with tarfile.open(path, errors="surrogateescape") as archive:
        return [
            {"name": os.fsencode(member.name).removeprefix(b"./").decode("utf-8", "backslashreplace"),
             "start": member.offset_data, "length": member.size, "modified": int(member.mtime)}
            for member in archive if member.isfile() and not member.islnk()
        ]


if __name__ == "__main__":
    os.makedirs(folder, exist_ok=True)
    for form in ("gnu", "posix"):
        by_gnu_tar(form, {**contents, **extended})
    by_gnu_tar("ustar", contents)
    for form in ("gnu", "pax"):
        by_python(form, {**contents, **extended})
    by_python("ustar", contents)
    found = {name: members(os.path.join(folder, name)) for name in sorted(os.listdir(folder)) if name.endswith(".tar")}
    with open(os.path.join(folder, "members.json"), "w") as file:
        json.dump(found, file, indent=1, ensure_ascii=False)
        file.write("\n")
