pub(crate) mod nptv6 {
    use std::net::Ipv6Addr;
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Prefixes {
        pub(crate) inside: Ipv6Addr,
        pub(crate) outside: Ipv6Addr,
        pub(crate) length: u8,
    }
    impl Prefixes {
        pub(crate) fn inward(&self, _: Ipv6Addr) -> Option<Ipv6Addr> {
            None
        }
        pub(crate) fn outward(&self, _: Ipv6Addr) -> Option<Ipv6Addr> {
            None
        }
    }
}
pub(crate) mod nat64 {
    use std::net::{Ipv4Addr, Ipv6Addr};
    pub(crate) fn extract(_: Ipv6Addr, _: Ipv6Addr) -> Option<Ipv4Addr> {
        None
    }
}
