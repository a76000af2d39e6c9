//! Poisonous packets, kept on disk: one capture file for each, to be looked at with any tool, or
//! replayed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use datapath::Poison;
use datapath::capture::{Format, LinkType, Writer};

use crate::limits::POISON_FILES;

/// Writes a packet into `directory`; returns the file. The oldest files make room.
///
/// # Errors
/// The file cannot be written.
pub fn keep(directory: &Path, shard: usize, poison: &Poison) -> io::Result<PathBuf> {
    fs::create_dir_all(directory)?;
    let name = format!("{:020}-shard-{shard}-port-{}.pcap", poison.time.0, poison.ingress.0);
    let path = directory.join(name);
    let mut writer = Writer::new(File::create(&path)?, Format::Pcap, LinkType::ETHERNET)?;
    writer.write(poison.time.0, &poison.frame)?;
    forget_old(directory)?;
    Ok(path)
}

fn forget_old(directory: &Path) -> io::Result<()> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "pcap"))
        .collect();
    files.sort();
    let surplus = files.len().saturating_sub(POISON_FILES);
    files[..surplus].iter().try_for_each(fs::remove_file)
}

#[cfg(test)]
mod tests {
    use super::keep;
    use crate::limits::POISON_FILES;
    use datapath::Poison;
    use datapath::capture::Reader;
    use engine::PortId;
    use wire::Time;

    #[test]
    fn a_kept_packet_can_be_read_again_and_files_are_bounded() {
        let directory = tempfile::tempdir().expect("a directory");
        for at in 0..POISON_FILES as u64 + 5 {
            let poison = Poison { time: Time(at), ingress: PortId(1), frame: vec![at as u8; 60] };
            let path = keep(directory.path(), 0, &poison).expect("written");
            let file = std::fs::File::open(path).expect("there");
            let mut reader = Reader::new(file).expect("a capture");
            let packet = reader.next_packet().expect("readable").expect("one packet");
            assert_eq!(packet.bytes, &poison.frame[..]);
        }
        let files = std::fs::read_dir(directory.path()).expect("readable").count();
        assert_eq!(files, POISON_FILES);
    }
}
