//! What the kernel says of memory: of the machine, and of the control groups that the daemon is in.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// Memory that can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// How much.
    pub(super) bytes: u64,
    /// The control group that has no more; none: it is all that the machine has.
    pub(super) group: Option<String>,
}

/// The least that anything leaves; nothing if the kernel does not tell.
pub(super) fn room() -> Option<Room> {
    let read = |path: &str| read_to_string(path).unwrap_or_default();
    let machine = available(&read("/proc/meminfo"));
    let machine = machine.map(|bytes| Room { bytes, group: None });
    let groups = groups(&read("/proc/self/cgroup"), Path::new("/sys/fs/cgroup"));
    machine.into_iter().chain(groups).min_by_key(|room| room.bytes)
}

/// MemAvailable, bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1_024)
}

/// The files of a hierarchy: limit, use, and of the latter what files hold and give back.
struct Names {
    limit: &'static str,
    used: &'static str,
    cached: &'static str,
}

const UNIFIED: Names =
    Names { limit: "memory.max", used: "memory.current", cached: "inactive_file" };
const FIRST: Names = Names {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    cached: "total_inactive_file",
};

/// What the groups of /proc/self/cgroup leave, and those above them.
fn groups(own: &str, root: &Path) -> Vec<Room> {
    let mut found = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next(), parts.next(), parts.next());
        let (Some(controllers), Some(path)) = (controllers, path) else { continue };
        let (names, root) = match controllers {
            "" => (&UNIFIED, root.to_owned()),
            it if it.split(',').any(|it| it == "memory") => (&FIRST, root.join("memory")),
            _ => continue,
        };
        for group in Path::new(path).ancestors() {
            found.extend(left(names, &root, group));
        }
    }
    found
}

fn left(names: &Names, root: &Path, group: &Path) -> Option<Room> {
    let folder: PathBuf = root.join(group.strip_prefix("/").unwrap_or(group));
    let number =
        |name: &str| -> Option<u64> { read_to_string(folder.join(name)).ok()?.trim().parse().ok() };
    // `max` is no number, and no limit.
    let (limit, used) = (number(names.limit)?, number(names.used)?);
    let stat = read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let cached = stat.lines().find_map(|line| line.strip_prefix(names.cached)?.trim().parse().ok());
    let bytes = limit.saturating_sub(used.saturating_sub(cached.unwrap_or(0)));
    Some(Room { bytes, group: Some(group.display().to_string()) })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_kernels_word_is_read() {
        let text = "MemTotal:       1000 kB\nMemAvailable:    512 kB\nBuffers: 3 kB\n";
        assert_eq!(available(text), Some(512 << 10));
        assert_eq!(available("MemTotal: 1 kB"), None);
        assert!(room().is_some_and(|room| room.bytes > 0), "this machine tells");
    }

    fn group(root: &Path, path: &str, files: &[(&str, &str)]) {
        let folder = root.join(path);
        fs::create_dir_all(&folder).expect("a folder");
        for (name, text) in files {
            fs::write(folder.join(name), text).expect("written");
        }
    }

    #[test]
    fn the_tightest_group_above_counts_without_what_files_hold() {
        let root = tempfile::tempdir().expect("a folder");
        let limits = |max, current| [("memory.max", max), ("memory.current", current)];
        group(root.path(), "system.slice", &limits("1000\n", "900\n"));
        group(root.path(), "system.slice/ringwall.service", &limits("max\n", "700\n"));
        let stat = [("memory.stat", "anon 600\ninactive_file 50\nactive_file 9\n")];
        group(root.path(), "system.slice", &stat);
        let found = groups("0::/system.slice/ringwall.service\n", root.path());
        assert_eq!(found, [Room { bytes: 150, group: Some("/system.slice".to_owned()) }]);
        assert_eq!(groups("0::/elsewhere\n", root.path()), []);
    }

    #[test]
    fn the_first_hierarchy_is_read_too() {
        let root = tempfile::tempdir().expect("a folder");
        let files = [
            ("memory.limit_in_bytes", "1000"),
            ("memory.usage_in_bytes", "1200"),
            ("memory.stat", "inactive_file 1\ntotal_inactive_file 300\n"),
        ];
        group(root.path(), "memory/a", &files);
        let found = groups("3:cpu,cpuacct:/\n2:memory:/a\n", root.path());
        assert_eq!(found, [Room { bytes: 100, group: Some("/a".to_owned()) }]);
    }
}
