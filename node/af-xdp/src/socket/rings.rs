//! The rings of a new socket.
#![allow(unsafe_code)]

use super::open::RingSizes;
use crate::channel::Rings;
use crate::error::Error;
use crate::mapping::Mapping;
use crate::ring::{Consumer, Entry, Layout, Producer};
use crate::system;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// Creates and maps the four rings. The kernel refuses to create a ring twice, so there is only
/// ever one set of our ends for a socket.
pub(super) fn create(fd: BorrowedFd<'_>, sizes: &RingSizes) -> Result<Rings, Error> {
    for (ring, entries) in [
        (libc::XDP_UMEM_FILL_RING, sizes.fill),
        (libc::XDP_UMEM_COMPLETION_RING, sizes.completion),
        (libc::XDP_RX_RING, sizes.receive),
        (libc::XDP_TX_RING, sizes.transmit),
    ] {
        system::create_ring(fd, ring, entries).map_err(Error::system("create a ring"))?;
    }
    let layouts = system::layouts(fd).map_err(Error::system("getsockopt(XDP_MMAP_OFFSETS)"))?;
    let fill_page = libc::XDP_UMEM_PGOFF_FILL_RING as i64;
    let completion_page = libc::XDP_UMEM_PGOFF_COMPLETION_RING as i64;
    Ok(Rings {
        fill: producer(fd, fill_page, layouts.fill, sizes.fill)?,
        completion: consumer(fd, completion_page, layouts.completion, sizes.completion)?,
        receive: consumer(fd, libc::XDP_PGOFF_RX_RING, layouts.receive, sizes.receive)?,
        transmit: producer(fd, libc::XDP_PGOFF_TX_RING, layouts.transmit, sizes.transmit)?,
    })
}

fn producer<T: Entry>(
    fd: BorrowedFd<'_>,
    page: i64,
    layout: Layout,
    size: u32,
) -> Result<Producer<T>, Error> {
    let mapping = map::<T>(fd, page, layout, size)?;
    // SAFETY: the ring was created by the one call of `create` for this socket, which makes one
    // end of it; the kernel has the other end. The layout is what the kernel says.
    Ok(unsafe { Producer::new(mapping, layout, size) })
}

fn consumer<T: Entry>(
    fd: BorrowedFd<'_>,
    page: i64,
    layout: Layout,
    size: u32,
) -> Result<Consumer<T>, Error> {
    let mapping = map::<T>(fd, page, layout, size)?;
    // SAFETY: as in `producer`.
    Ok(unsafe { Consumer::new(mapping, layout, size) })
}

fn map<T: Entry>(
    fd: BorrowedFd<'_>,
    page: i64,
    layout: Layout,
    size: u32,
) -> Result<Arc<Mapping>, Error> {
    let mapped = Mapping::of_socket(fd, page, layout.bytes::<T>(size));
    let errno = |error: io::Error| error.raw_os_error().unwrap_or(libc::EIO);
    mapped.map(Arc::new).map_err(errno).map_err(Error::system("mmap a ring"))
}
