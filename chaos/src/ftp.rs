//! What a client and a server of files say to each other about where a transfer goes (RFC 959, 2428).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// How it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// The server listens, and not the client.
    pub(super) passive: bool,
    /// By EPSV and EPRT.
    pub(super) extended: bool,
}

impl Way {
    pub(super) const ALL: [Self; 4] = [
        Self { passive: true, extended: false },
        Self { passive: false, extended: false },
        Self { passive: true, extended: true },
        Self { passive: false, extended: true },
    ];

    /// What the client says, where `own` is what listens, if it is the client.
    pub(super) fn command(self, own: SocketAddr) -> String {
        match (self.passive, self.extended) {
            (true, false) => "PASV\r\n".to_owned(),
            (true, true) => "EPSV\r\n".to_owned(),
            (false, false) => format!("PORT {}\r\n", six(own)),
            (false, true) => format!("EPRT |1|{}|{}|\r\n", own.ip(), own.port()),
        }
    }

    /// What the server answers, where `own` is what listens, if it is the server.
    pub(super) fn reply(self, own: SocketAddr) -> String {
        match (self.passive, self.extended) {
            (true, false) => format!("227 Entering Passive Mode ({}).\r\n", six(own)),
            (true, true) => format!("229 Entering Extended Passive Mode (|||{}|)\r\n", own.port()),
            (false, _) => "200 Command okay.\r\n".to_owned(),
        }
    }

    /// Where the transfer goes, as the other side has heard it from `announcer`.
    pub(super) fn heard(self, line: &str, announcer: IpAddr) -> Option<SocketAddr> {
        match (self.passive, self.extended) {
            (true, false) => numbers(line.split_once('(')?.1.split_once(')')?.0),
            (false, false) => numbers(line.strip_prefix("PORT ")?.trim_end()),
            (true, true) => {
                let port = line.split_once("(|||")?.1.split_once("|)")?.0;
                Some((announcer, port.parse().ok()?).into())
            }
            (false, true) => {
                let (address, rest) = line.strip_prefix("EPRT |1|")?.split_once('|')?;
                let port = rest.split_once('|')?.0.parse().ok()?;
                Some((address.parse::<IpAddr>().ok()?, port).into())
            }
        }
    }
}

/// Six numbers; the lab's endpoints have IPv4.
fn six(endpoint: SocketAddr) -> String {
    let [high, low] = endpoint.port().to_be_bytes();
    format!("{},{high},{low}", endpoint.ip().to_string().replace('.', ","))
}

fn numbers(text: &str) -> Option<SocketAddr> {
    let numbers: Option<Vec<u8>> = text.split(',').map(|it| it.parse().ok()).collect();
    let [a, b, c, d, high, low] = numbers?.try_into().ok()?;
    Some((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        let own: SocketAddr = "10.2.0.3:40001".parse().unwrap();
        for way in Way::ALL {
            let line = if way.passive { way.reply(own) } else { way.command(own) };
            assert_eq!(way.heard(&line, own.ip()), Some(own), "{line}");
            assert_eq!(way.heard("500 What?\r\n", own.ip()), None);
        }
    }
}
