#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""mentions.py QEMU: find mentions of files and make targets that do not exist.

Reads documents, comments and messages. QEMU is a QEMU source tree, whose files
may also be mentioned. These words must name something:

- a path: a word that begins with one of our folders, has a suffix of our files,
  or ends in a slash. It may be relative to the top, to the folder that mentions
  it, or be the end of a longer path. CAPITALS and * match anything.
- a target in quotes: `make TARGET`.

The name of a file that no longer exists must not appear at all.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from posixpath import basename, dirname, normpath, splitext

TOP = Path(__file__).resolve().parents[2]

# Files that are mentioned but are elsewhere, by reason
ELSEWHERE = {
    'what make puts into build/': (
        'build/bench', 'build/bench/*', 'build/deb', 'build/deb/*',
        'build/docs', 'build/docs/*', 'build/linux', 'build/linux/*',
        'build/linux-library',
        'build/patches', 'build/patches/*', 'build/server', 'build/server/*',
        'build/server-sanitized', 'build/timeline',
        'build/zephyr', 'build/zephyr/aarch64/*',
        'build/zephyr/*/*/zephyr/zephyr.elf', 'build/qemu-[0-9*]*',
        'build/qemu-[0-9*]*/build', 'build/qemu-[0-9*]*/source',
        'build/qemu-[0-9*]*/ivshmem-server', 'build/qemu-[0-9*]*/qemu-system-*',
        'ivshmem-flat.so', 'ivshmem-flat-device.so'),
    'what docs/linux.rst clones': (
        'build/open-amp', 'build/open-amp/*', 'build/libmetal', 'build/libmetal/*'),
    'what a benchmark writes': ('bench/results/*',),
    'only in some of the QEMUs that we support': (
        'block/aio.h', 'exec/exec-all.h', 'docs/devel/code-provenance.rst',
        'docs/specs/ivshmem-spec', 'docs/specs/ivshmem-spec.txt', 'hw/misc/ivshmem-pci.c',
        'hw/misc/ivshmem.c'),
    'Linux': ('bin',
              'Documentation/driver-api/early-userspace/buffer-format.rst'),
    'Zephyr': ('base.yaml', 'drivers/virtualization/ivshmem/*',
               'gen_isr_tables.py', 'zephyr/dt-bindings/*/*',
               'zephyr/zephyr.elf'),
    'what scripts/build-deb writes': ('debian/changelog',),
    'what make install makes': ('include/ivshmem-flat',),
    "an example of a user's file": ('one.elf', 'two.elf', 'other.elf', 'your.c',
                                    'your.elf', 'project.c', 'test_it.py'),
}

WORD = re.compile(r'[\w./*+-]+')
# URLs, absolute paths, the system's headers, and paths in a named tree
NOT_OURS = re.compile(r'\w+://\S+|(?<![\w.*)}])[/~][\w./~-]+|<[\w./]+\.h>'
                      r'|\b(?!FLAT\b)[A-Z]{3,}/\S+')
PLACEHOLDER = re.compile(r'…|\.\.\.|<\w+>|\$\w+|@\w+@|(?<![A-Za-z])(?!README)'
                         r'[A-Z][A-Z_]{2,}(?![a-z])')
SUFFIX = re.compile(r'[\w*]\.(c|h|ld|py|md|rst|ya?ml|toml|elf|so)$|^[\w-]{2,}/$')
TARGET = re.compile(r"""[`'"]make\s+([a-z][a-z-]*)""")
DOCUMENTS = ('.md', '.rst')
C_SUFFIXES = ('.c', '.h', '.ld')


def git(*arguments: str) -> list[str]:
    return subprocess.run(('git', '-C', TOP, *arguments), check=True, text=True,
                          stdout=subprocess.PIPE).stdout.splitlines()


def our_files() -> list[str]:
    listed = git('ls-files', '--cached', '--others', '--exclude-standard')
    return [path for path in listed if (TOP / path).is_file()]


def python_messages(node: ast.AST) -> Iterator[str]:
    """Docstrings and messages: all strings with a space."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        if ' ' in node.value:
            yield node.value
    elif isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else '*'
                 for part in node.values]
        yield from python_messages(ast.Constant(''.join(map(str, parts))))
    else:
        for child in ast.iter_child_nodes(node):
            yield from python_messages(child)


def prose(path: str, text: str) -> str:
    """The parts of `text` that people read."""
    if path.endswith(DOCUMENTS) or path.startswith('patches/'):
        return text
    if path.endswith(C_SUFFIXES):
        return '\n'.join(re.findall(r'/\*.*?\*/|//[^\n]*|"[^"\n]* [^"\n]*"', text,
                                    re.DOTALL))
    if path.endswith('.py') or text.startswith('#!/usr/bin/python3'):
        try:
            messages = python_messages(ast.parse(text))
        except SyntaxError as error:
            sys.exit(f'{path}, line {error.lineno}: {error.msg}: correct this first')
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        comments = [token.string for token in tokens
                    if token.type == tokenize.COMMENT]
        return '\n'.join((*comments, *messages))
    return '\n'.join(re.findall(r'(?:^|\s)#.*|"[^"\n]* [^"\n]*"', text,
                                re.MULTILINE))


class Tree:
    """Paths that may be mentioned, with and without suffix, by their last
    part."""

    def __init__(self, ours: list[str], qemu: Path) -> None:
        self.paths: dict[str, set[str]] = {}
        self.tops = {path.split('/')[0] for path in ours if '/' in path} | {'build'}
        boards = [path for path in ours if fnmatchcase(path, 'guest/boards/*.ld')]
        programs = [path for path in ours if fnmatchcase(path, 'guest/*/*.c')]
        firmware = [f'build/firmware/{Path(board).stem}/{Path(program).stem}.elf'
                    for board in boards for program in programs]
        theirs = [str(path.relative_to(qemu)) for path in qemu.rglob('*')]
        # QEMU's tree may contain old versions of our files.
        theirs = [path for path in theirs if not re.search('ivshmem[-_]flat', path)]
        for path in (*ours, *firmware, *theirs):
            self.add(splitext(path)[0])
            self.add(path)

    def add(self, path: str) -> None:
        while path and path not in self.paths.setdefault(basename(path), set()):
            self.paths[basename(path)].add(path)
            path = dirname(path)

    def is_path(self, word: str) -> bool:
        return ('/' in word and word.split('/')[0] in self.tops or
                bool(SUFFIX.search(word)))

    def has(self, name: str, folder: str) -> bool:
        if any(PurePosixPath(name).match(pattern)
               for patterns in ELSEWHERE.values() for pattern in patterns):
            return True
        if name.startswith('../'):
            name = normpath(f'{folder}/{name}')
            return name in self.paths.get(basename(name), ())
        if '*' in name:
            return any(fnmatchcase(f'/{path}', f'*/{name}')
                       for paths in self.paths.values() for path in paths)
        return any(f'/{path}'.endswith(f'/{name}')
                   for path in self.paths.get(basename(name), ()))


def missing(path: str, tree: Tree, gone: set[str],
            targets: set[str]) -> Iterator[str]:
    content = (TOP / path).read_bytes()
    if b'\0' in content:    # as git tells binary files
        return
    text = content.decode()
    for target in TARGET.findall(text):
        if target not in targets:
            yield f'make {target}'
    words = PLACEHOLDER.sub('*', NOT_OURS.sub(' ', prose(path, text)))
    for word in WORD.findall(words):
        word = word.rstrip('.-').removeprefix('./').removeprefix('*/')
        name = word.rstrip('/')
        if name in gone or tree.is_path(word) and not tree.has(name, dirname(path)):
            yield name


def main() -> int:
    ours = our_files()
    tree = Tree(ours, Path(sys.argv[1]))
    deleted = git('log', '--no-renames', '--diff-filter=D', '--name-only',
                  '--format=')
    targets = set(re.findall(r'^([a-z-]+):', (TOP / 'Makefile').read_text(), re.M))
    # A name that is an ordinary word may appear.
    gone = {basename(path) for path in deleted
            if re.search('[-_.]', basename(path))} - set(tree.paths) - targets
    found = [(path, name) for path in ours if not path.startswith('LICENSES/')
             for name in dict.fromkeys(missing(path, tree, gone, targets))]
    for path, name in found:
        print(f'{path}: no {name}')
    if found:
        print('Correct each mention. If the name is right, add it to ELSEWHERE in '
              'tests/style/mentions.py, with the reason')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
