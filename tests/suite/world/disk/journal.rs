//! What the layer noted, and which files a power cut at some moment of it leaves.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::Luck;
use crate::{ensure, world::Outcome};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;
const HEAD: usize = 32;

/// One call that a program made, as `layer.c` writes it.
struct Record {
    at: SystemTime,
    path: PathBuf,
    call: Call,
}

enum Call {
    Create,
    /// The place of its bytes in the journal.
    Write {
        offset: usize,
        bytes: std::ops::Range<usize>,
    },
    Truncate(usize),
    /// All calls before the n-th are promised, as far as they were about this file.
    Sync(usize),
    Rename(PathBuf),
    Unlink,
}

/// All calls, in their order.
pub struct Journal {
    bytes: Vec<u8>,
    records: Vec<Record>,
}

impl Journal {
    /// Reads it.
    pub fn read(bytes: Vec<u8>) -> Outcome<Self> {
        let (mut records, mut from) = (Vec::new(), 0);
        while let Some((record, to)) = Record::read(&bytes, from) {
            records.push(record);
            from = to;
        }
        ensure!(records.iter().any(|one| matches!(one.call, Call::Sync(_))), "the layer saw no sync: it is not in use");
        Ok(Self { bytes, records })
    }

    /// A moment of it: so many calls had been made, and some of them after a time.
    pub fn moment(&self, after: SystemTime, luck: &mut Luck) -> Outcome<usize> {
        let first = self.records.partition_point(|record| record.at <= after);
        ensure!(first < self.records.len(), "nothing was written after {after:?}");
        Ok(first + luck.below(self.records.len() - first))
    }

    /// When the last call before a moment was made: what was answered before is promised.
    pub fn time(&self, moment: usize) -> SystemTime {
        self.records[moment.saturating_sub(1)].at
    }

    /// The files that a power cut at a moment leaves: all that was synced, and of the rest what luck has it. Calls on a
    /// directory come to the disk in their order, writes in any, each sector for itself.
    pub fn files(&self, moment: usize, luck: &mut Luck) -> BTreeMap<PathBuf, Vec<u8>> {
        let calls = &self.records[..moment];
        let promised = promises(calls);
        let mut directories: HashMap<&Path, bool> = HashMap::new();
        let (mut names, mut inodes): (BTreeMap<&Path, usize>, Vec<Vec<u8>>) = Default::default();
        // Where the program itself saw a file, whatever the disk knows of it.
        let mut seen: HashMap<&Path, usize> = HashMap::new();
        for (number, record) in calls.iter().enumerate() {
            let path = record.path.as_path();
            let mut on_disk = || {
                let goes_on = directories.entry(path.parent().unwrap_or(path)).or_insert(true);
                *goes_on = promised[number] || (*goes_on && luck.has_it());
                *goes_on
            };
            match &record.call {
                Call::Create => {
                    inodes.push(Vec::new());
                    seen.insert(path, inodes.len() - 1);
                    if on_disk() {
                        names.insert(path, inodes.len() - 1);
                    }
                }
                Call::Unlink => {
                    seen.remove(path);
                    if on_disk() {
                        names.remove(path);
                    }
                }
                Call::Rename(to) => {
                    // What it made in another way (a socket) is no file.
                    let Some(inode) = seen.remove(path) else { continue };
                    seen.insert(to, inode);
                    if on_disk() {
                        names.remove(path);
                        names.insert(to, inode);
                    }
                }
                Call::Truncate(size) => {
                    if promised[number] || luck.has_it() {
                        inodes[seen[path]].resize(*size, 0);
                    }
                }
                Call::Write { offset, bytes } => {
                    let (file, bytes) = (&mut inodes[seen[path]], &self.bytes[bytes.clone()]);
                    for (place, sector) in bytes.chunks(SECTOR).enumerate() {
                        if promised[number] || luck.has_it() {
                            let from = offset + place * SECTOR;
                            file.resize(file.len().max(from + sector.len()), 0);
                            file[from..from + sector.len()].copy_from_slice(sector);
                        }
                    }
                }
                Call::Sync(_) => {}
            }
        }
        names.into_iter().map(|(path, inode)| (path.to_owned(), std::mem::take(&mut inodes[inode]))).collect()
    }
}

/// Which calls a sync has promised: those on a file by a sync of it, those on names by one of their directory.
fn promises(calls: &[Record]) -> Vec<bool> {
    let mut promised = vec![false; calls.len()];
    let mut synced: HashMap<&Path, usize> = HashMap::new();
    for (number, record) in calls.iter().enumerate().rev() {
        let about = match &record.call {
            Call::Sync(before) => {
                let so_far = synced.entry(&record.path).or_default();
                *so_far = (*so_far).max(*before);
                continue;
            }
            Call::Create | Call::Rename(_) | Call::Unlink => record.path.parent().unwrap_or(&record.path),
            Call::Write { .. } | Call::Truncate(_) => &record.path,
        };
        promised[number] = synced.get(about).is_some_and(|before| number < *before);
        // An earlier file of this name was another one.
        if matches!(record.call, Call::Create) {
            synced.remove(record.path.as_path());
        }
    }
    promised
}

impl Record {
    /// The record that begins at a place, and where it ends; `None` for one that was being written when all ended.
    fn read(bytes: &[u8], from: usize) -> Option<(Self, usize)> {
        let head = bytes.get(from..from + HEAD)?;
        let long = |at: usize| head[at..at + 8].try_into().map_or(0, u64::from_ne_bytes);
        let short = |at: usize| head[at..at + 4].try_into().map_or(0, u32::from_ne_bytes);
        let number = usize::try_from(long(8)).ok()?;
        let path_end = from + HEAD + usize::try_from(short(24)).ok()?;
        let end = path_end + usize::try_from(long(16)).ok()?;
        let (path, data) = (bytes.get(from + HEAD..path_end)?, bytes.get(path_end..end)?);
        let name = |bytes: &[u8]| PathBuf::from(String::from_utf8_lossy(bytes).into_owned());
        let call = match short(28) {
            1 => Call::Create,
            2 => Call::Write { offset: number, bytes: path_end..end },
            3 => Call::Truncate(number),
            4 => Call::Sync(number),
            5 => Call::Rename(name(data)),
            6 => Call::Unlink,
            other => panic!("the layer notes no calls of kind {other}"),
        };
        Some((Self { at: SystemTime::UNIX_EPOCH + Duration::from_nanos(long(0)), path: name(path), call }, end))
    }
}
