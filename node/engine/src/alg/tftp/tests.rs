use proptest::prelude::*;

use super::*;

#[test]
fn requests() {
    let cases: [(&[u8], Kind, Mode, u8); 4] = [
        (b"\0\x01boot.img\0octet\0", Kind::Read, Mode::Octet, 0),
        (b"\0\x02a\0NetASCII\0", Kind::Write, Mode::Netascii, 0),
        (b"\0\x01boot.img\0octet\0blksize\x001428\0tsize\x000\0", Kind::Read, Mode::Octet, 2),
        (b"\0\x02x\0mail\0", Kind::Write, Mode::Mail, 0),
    ];
    for (bytes, kind, mode, options) in cases {
        let found = read(bytes).expect("a request");
        assert_eq!((found.kind, found.mode, found.options), (kind, mode, options));
        for end in 0..bytes.len() {
            // Between options it is a whole request with fewer.
            let shorter = read(&bytes[..end]).is_ok_and(|shorter| shorter.options < options);
            assert!(shorter || read(&bytes[..end]).is_err(), "{end}");
        }
    }
    let bytes = b"\0\x01boot.img\0octet\0";
    assert_eq!(read(bytes).expect("a request").file.of(bytes), b"boot.img");
}

#[test]
fn what_is_no_request() {
    let long = [b"\0\x01".as_slice(), &[b'a'; TFTP_REQUEST_BYTES], b"\0octet\0"].concat();
    let many = [b"\0\x01a\0octet\0".as_slice(), &b"a\0b\0".repeat(TFTP_OPTIONS_MAX + 1)].concat();
    let cases: [(&[u8], Refused); 11] = [
        (b"", Refused::Operation),
        (b"\0", Refused::Operation),
        (b"\0\x03\0\x01data", Refused::Operation),
        (b"\0\x04\0\x01", Refused::Operation),
        (b"\x01\0a\0octet\0", Refused::Operation),
        (b"\0\x01\0octet\0", Refused::Cut),
        (b"\0\x01a\0octet", Refused::Cut),
        (b"\0\x01a\0octets\0", Refused::Mode),
        (b"\0\x01a\0octet\0blksize\0", Refused::Cut),
        (&long, Refused::TooLong),
        (&many, Refused::TooManyOptions),
    ];
    for (bytes, refused) in cases {
        assert_eq!(read(bytes), Err(refused), "{}", bytes.escape_ascii());
    }
    assert!(read(&many[..many.len() - 4]).is_ok());
}

proptest! {
    #[test]
    fn any_datagram_can_be_read(kind in 0_u8..4, bytes in "(a|octet|b\0|\0){0,12}") {
        let datagram = [&[0, kind], bytes.as_bytes()].concat();
        if let Ok(found) = read(&datagram) {
            prop_assert!(!found.file.of(&datagram).contains(&0) && found.file.start == 2);
            prop_assert_eq!(datagram.last(), Some(&0));
        }
    }
}
