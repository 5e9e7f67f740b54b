"""Pages link to folders, as GitHub shows them: each folder without a page of its own gets a page that lists what is in it."""

from pathlib import PurePosixPath

from mkdocs.structure.files import File


def on_files(files, config):
    folders = {}
    for file in files:
        # The theme's files lie elsewhere.
        if file.src_dir == config.docs_dir and file.inclusion.is_included():
            path = PurePosixPath(file.src_uri)
            for folder in path.parents:
                folders.setdefault(folder, set()).add(path)
                path = folder
    pages = {folder: "README.md" if folder / "README.md" in paths else "index.md" for folder, paths in folders.items()}
    for folder, paths in folders.items():
        if folder / pages[folder] not in paths:
            links = [f"- [{path.name}]({path.name}{f'/{pages[path]}' if path in pages else ''})" for path in sorted(paths)]
            files.append(File.generated(config, f"{folder}/index.md", content="\n".join([f"# {folder}", "", *links])))
    return files
