//! ICMP errors with the packet embedded in them (RFC 7915 §4.3, §5.3).
use core::net::IpAddr;

use super::header::Header;
use super::icmp::{Message, length_field};
use super::transport::{Part, pseudo_icmpv6};
use super::{Untranslatable, check, put_link};
use crate::bytes::Writer;
use crate::checksum::{finish, fold, sum};
use crate::limits::{MAX_ERROR_LEN_V4, MAX_ERROR_LEN_V6};
use crate::translate::quotation::said_length;
use crate::translate::{Change, Ends, Zero};
use crate::{Embedded, Icmp, Packet, Transport, Version};
use crate::{icmp, ipv4, ipv6};

/// Bytes of the embedded packet that an extension comes behind at least (RFC 4884 §3).
const LEAST_BEFORE_EXTENSION: usize = 128;

/// An error, and what the packet embedded in it becomes.
pub(super) struct Quotation<'a> {
    pub(super) frame: &'a [u8],
    pub(super) error: &'a Packet,
    pub(super) embedded: &'a Embedded,
    pub(super) outer: (IpAddr, IpAddr),
    pub(super) inner: &'a Ends,
    /// IPv4 identification of the error.
    pub(super) id: u16,
}

/// An ICMP message in the making.
struct Parts<'f> {
    message: Message,
    header: Header,
    /// What there is of the embedded packet behind its header, and how long that was.
    data: &'f [u8],
    length: usize,
    padding: usize,
    extension: &'f [u8],
}

impl Quotation<'_> {
    /// Writes it as a packet of this version; bytes written.
    pub(super) fn write(&self, version: Version, out: &mut [u8]) -> Result<usize, Untranslatable> {
        let outer = Ends { source: (self.outer.0, 0), destination: (self.outer.1, 0) };
        check(version, self.frame, self.error, &outer)?;
        if self.embedded.version != self.error.version || !super::of_version(self.inner, version) {
            return Err(Untranslatable::Version);
        }
        let parts = self.parts(version)?;
        let mut writer = Writer { out, at: 0 };
        put_link(self.frame, self.error, version, &mut writer).ok_or(Untranslatable::TooLong)?;
        Header::of(self.frame, self.error, &outer, parts.len(), self.id)?.write(&mut writer)?;
        let message = writer.at;
        let (transport, end) = parts.write(&mut writer)?;
        let len = writer.at;
        let quoted = out.get_mut(..end).ok_or(Untranslatable::TooLong)?;
        Part::of_embedded(self.frame, self.embedded, self.inner, transport, parts.length)
            .translate(quoted)?;
        self.fill_checksum(version, &outer, out.get_mut(message..len).unwrap_or_default());
        Ok(len)
    }

    fn parts(&self, version: Version) -> Result<Parts<'_>, Untranslatable> {
        let icmp = self.message()?;
        let (data, extension) = self.split(&icmp);
        let length = said_length(self.frame, self.embedded).unwrap_or(data.len());
        let headers = (self.embedded.transport - self.embedded.network) as usize;
        let message = Message::of(version, &icmp, headers + length)
            .ok_or(Untranslatable::Icmp(icmp.kind, icmp.code))?;
        let header = Header::of_embedded(self.frame, self.embedded, self.inner, length)?;
        let room = room(version);
        let data = &data[..data.len().min(room - header.len())];
        let mut parts = Parts { message, header, data, length, padding: 0, extension: &[] };
        parts.extend(version, extension, room);
        Ok(parts)
    }

    fn message(&self) -> Result<Icmp, Untranslatable> {
        match self.error.body {
            Transport::Icmp(icmp) if icmp.embedded => Ok(icmp),
            Transport::Icmp(icmp) => Err(Untranslatable::Icmp(icmp.kind, icmp.code)),
            Transport::Tcp(_)
            | Transport::Udp(_)
            | Transport::Sctp(_)
            | Transport::Gre(_)
            | Transport::Esp { .. }
            | Transport::None
            | Transport::Other => Err(Untranslatable::Protocol(self.error.protocol)),
        }
    }

    /// The embedded packet behind its headers, and an extension of the message (RFC 4884 §3).
    fn split(&self, icmp: &Icmp) -> (&[u8], &[u8]) {
        let embedded = self.embedded;
        let (start, end) = (embedded.transport as usize, embedded.end as usize);
        let all = self.frame.get(start..end).unwrap_or_default();
        let said = length_field(self.error.version, icmp.kind).map(|(shift, unit)| {
            embedded.network as usize + (icmp.rest >> shift & 0xff) as usize * unit
        });
        // What is shorter than what every error quotes says nothing.
        let place = said.and_then(|place| place.checked_sub(start)).filter(|place| *place >= 8);
        place.and_then(|place| all.split_at_checked(place)).unwrap_or((all, &[]))
    }

    /// Writes the message's checksum, which is as wrong as that of the original.
    fn fill_checksum(&self, version: Version, outer: &Ends, message: &mut [u8]) {
        let pseudo = match version {
            Version::V4 => 0,
            Version::V6 => pseudo_icmpv6(outer, message.len()),
        };
        let (start, end) = (self.error.transport as usize, self.error.end as usize);
        let original = self.frame.get(start..end).unwrap_or_default();
        let counted = match self.error.version {
            Version::V4 => 0,
            Version::V6 => pseudo_icmpv6(&Ends::of(self.error), original.len()),
        };
        let right = finish(u32::from(pseudo) + sum(message));
        let mut change = Change { bytes: message, sum: 0 };
        change.put(icmp::CHECKSUM, right);
        let wrong_by = !fold(u32::from(counted) + sum(original));
        change.checksum(icmp::CHECKSUM, wrong_by, Zero::IsASum);
    }
}

/// Bytes of an error behind its ICMP header.
const fn room(version: Version) -> usize {
    match version {
        Version::V4 => MAX_ERROR_LEN_V4 - ipv4::HEADER_LEN - icmp::HEADER_LEN,
        Version::V6 => MAX_ERROR_LEN_V6 - ipv6::HEADER_LEN - icmp::HEADER_LEN,
    }
}

impl<'f> Parts<'f> {
    /// Bytes of the message.
    fn len(&self) -> usize {
        let quoted = self.header.len() + self.data.len();
        icmp::HEADER_LEN + quoted + self.padding + self.extension.len()
    }

    /// Carries an extension over, if this type of message has one and there is room.
    fn extend(&mut self, version: Version, extension: &'f [u8], room: usize) {
        let Some((shift, unit)) = length_field(version, self.message.kind) else { return };
        let quoted = self.header.len() + self.data.len();
        let padded = quoted.max(LEAST_BEFORE_EXTENSION).next_multiple_of(unit);
        if extension.is_empty() || padded + extension.len() > room || padded / unit > 0xff {
            return;
        }
        self.message.rest |= ((padded / unit) as u32) << shift;
        (self.padding, self.extension) = (padded - quoted, extension);
    }

    /// Writes it with a checksum of zero. Where the embedded transport header begins, and where it ends.
    fn write(&self, writer: &mut Writer<'_>) -> Result<(usize, usize), Untranslatable> {
        self.write_start(writer).ok_or(Untranslatable::TooLong)?;
        self.header.write(writer)?;
        let transport = writer.at;
        self.write_rest(writer).ok_or(Untranslatable::TooLong)?;
        Ok((transport, transport + self.data.len()))
    }

    fn write_start(&self, writer: &mut Writer<'_>) -> Option<()> {
        writer.put(&[self.message.kind, self.message.code, 0, 0])?;
        writer.put(&self.message.rest.to_be_bytes())
    }

    fn write_rest(&self, writer: &mut Writer<'_>) -> Option<()> {
        writer.put(self.data)?;
        writer.zeros(self.padding)?;
        writer.put(self.extension)
    }
}
