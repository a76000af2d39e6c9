// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The gate on every port: what goes to the workers, what to the host's own stack, what nowhere.
//
// A frame sent to AF_XDP cannot go back to the kernel, so traffic for the host itself is decided
// here. It is decided the same way when no daemon runs; transit is dropped then, because the lease
// has run out or no socket is there. Nothing here relies on the kernel's forwarding switches: the
// kernel is only ever handed frames for the host's own addresses and the link's own protocols.
//
// Every frame moves exactly one counter. Built by bpf/build.sh; the object is committed.
//
// Context fields are read once, at the top: clang 14 otherwise computes their addresses, and the
// verifier refuses that.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef u16 be16;
typedef u32 be32;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define NUMBER(name, value) int(*name)[value]
#define TYPE(name, value) typeof(value) *name

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BE16(value) ((be16)((((value)&0xff) << 8) | (((value) >> 8) & 0xff)))
#define BE32(value) ((be32)__builtin_bswap32(value))
#else
#define BE16(value) ((be16)(value))
#define BE32(value) ((be32)(value))
#endif

// ---- Limits; the loader checks its own against the loaded maps. ----

// Ports a node may have, and receive queues of one port.
#define MAX_PORTS 64
#define MAX_QUEUES 64
// The host's own addresses over all domains.
#define MAX_ADDRESSES 8192
// (port, protocol) pairs with at least one service allowed.
#define MAX_INBOUND 1024
// Words of the bitmap over one protocol's 65,536 service numbers.
#define SERVICE_WORDS 1024
// IPv6 extension headers passed over in a packet for the host. Real ones carry two or three.
#define MAX_EXTENSIONS 8
// IPv4 option bytes: (15 - 5) * 4.
#define MAX_OPTION_BYTES 40

// ---- The kernel's ABI, as far as it is used (linux/bpf.h). ----

enum action { XDP_DROP = 1, XDP_PASS = 2, XDP_REDIRECT = 4 };

enum map_type { MAP_HASH = 1, MAP_ARRAY = 2, MAP_PERCPU_ARRAY = 6, MAP_XSK = 17 };

#define F_NO_PREALLOC 1
#define F_CURRENT_NETNS (-1L)

struct xdp_md {
	u32 data, data_end, data_meta;
	u32 ingress_ifindex, rx_queue_index, egress_ifindex;
};

struct bpf_sock {
	u32 bound_dev_if, family, type, protocol, mark, priority;
	u32 src_ip4, src_ip6[4], src_port;
	be16 dst_port;
	u16 : 16;
	u32 dst_ip4, dst_ip6[4], state;
	int rx_queue_mapping;
};

struct tuple4 {
	be32 source, destination;
	be16 source_port, destination_port;
};

struct tuple6 {
	be32 source[4], destination[4];
	be16 source_port, destination_port;
};

static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static u64 (*ktime_get_ns)(void) = (void *)5;
static long (*redirect_map)(void *map, u64 key, u64 flags) = (void *)51;
static struct bpf_sock *(*lookup_udp)(void *ctx, void *tuple, u32 size, u64 netns,
				      u64 flags) = (void *)85;
static long (*sock_release)(void *sock) = (void *)86;
static struct bpf_sock *(*lookup_tcp)(void *ctx, void *tuple, u32 size, u64 netns,
				      u64 flags) = (void *)99;

#define TCP_LISTEN 10

// ---- Packet headers. ----

struct ethernet {
	u8 destination[6], source[6];
	be16 type;
};

struct ipv4 {
	u8 version_length, tos;
	be16 total_length, id, fragment;
	u8 ttl, protocol;
	be16 checksum;
	be32 source, destination;
};

struct ipv6 {
	be32 version_class_flow;
	be16 payload_length;
	u8 next, hop_limit;
	be32 source[4], destination[4];
};

struct transport {
	be16 source_port, destination_port;
};

#define ETH_IPV4 BE16(0x0800)
#define ETH_ARP BE16(0x0806)
#define ETH_IPV6 BE16(0x86dd)

enum protocol {
	HOP_BY_HOP = 0,
	ICMP = 1,
	IGMP = 2,
	TCP = 6,
	UDP = 17,
	ROUTING = 43,
	FRAGMENT = 44,
	AUTHENTICATION = 51,
	ICMPV6 = 58,
	DESTINATION_OPTIONS = 60,
	SCTP = 132,
};

// ---- What the loader and this program share; the loader's tests compare. ----

// One per way a frame can go. The order is the order of the loader's `Stat`.
enum stat {
	STAT_TO_WORKER,	    // handed to an AF_XDP socket
	STAT_TO_HOST,	    // IP for the host, allowed
	STAT_LINK_CONTROL,  // ARP, neighbour discovery, MLD, IGMP: to the kernel
	STAT_HOST_DENIED,   // IP for the host, not allowed
	STAT_LEASE_EXPIRED, // transit without a valid lease
	STAT_NO_WORKER,	    // transit, and no socket on this port and queue
	STAT_MALFORMED,	    // IP for the host whose headers are cut off or endless
	STAT_NOT_FOR_US,    // sent to another station's MAC, or routed IP sent to all stations
	STAT_NO_PORT,	    // arrived by an interface that is not configured
	STATS,
};

enum mode { MODE_ROUTED = 0, MODE_WIRE = 1 };

enum port_flags { PORT_CHECK_MAC = 1 };

struct port {
	u16 index;  // < MAX_PORTS
	u16 domain; // routing domain of its addresses
	u8 mode;
	u8 flags;
	u8 mac[6]; // with PORT_CHECK_MAC: unicast frames to other addresses are not ours
};

// An address of the host: IPv4 as ::ffff:a.b.c.d.
struct address {
	be32 bytes[4];
	u32 domain;
};

struct service_key {
	u16 port;
	u8 protocol;
	u8 zero;
};

// A bit per destination port (TCP, UDP, SCTP) or ICMP type * 256 + code; bit 0 for the others.
struct services {
	u64 words[SERVICE_WORDS];
};

struct {
	NUMBER(type, MAP_HASH);
	TYPE(key, u32); // ifindex
	TYPE(value, struct port);
	NUMBER(max_entries, MAX_PORTS);
} ports SEC(".maps");

struct {
	NUMBER(type, MAP_XSK);
	TYPE(key, u32); // port index * MAX_QUEUES + receive queue
	TYPE(value, u32);
	NUMBER(max_entries, MAX_PORTS *MAX_QUEUES);
} sockets SEC(".maps");

struct {
	NUMBER(type, MAP_ARRAY);
	TYPE(key, u32);
	TYPE(value, u64); // CLOCK_MONOTONIC, ns; transit is dropped after it
	NUMBER(max_entries, 1);
} lease SEC(".maps");

struct {
	NUMBER(type, MAP_HASH);
	TYPE(key, struct address);
	TYPE(value, u8);
	NUMBER(max_entries, MAX_ADDRESSES);
	NUMBER(map_flags, F_NO_PREALLOC);
} addresses SEC(".maps");

struct {
	NUMBER(type, MAP_HASH);
	TYPE(key, struct service_key);
	TYPE(value, struct services);
	NUMBER(max_entries, MAX_INBOUND);
	NUMBER(map_flags, F_NO_PREALLOC);
} inbound SEC(".maps");

struct {
	NUMBER(type, MAP_PERCPU_ARRAY);
	TYPE(key, u32);
	TYPE(value, u64);
	NUMBER(max_entries, STATS);
} stats SEC(".maps");

char licence_string[] SEC("license") = "Dual MIT/GPL";

// ---- The program. ----

// The arguments that every step needs.
struct frame {
	void *context;
	void *end;
	const struct port *port;
	u32 queue;
};

// A packet for the host, with its transport header.
struct packet {
	be32 source[4], destination[4]; // IPv4 in the first word
	u8 version;
	u8 protocol;
	u8 hop_limit;
	u8 unicast;  // not multicast or broadcast
	u8 fragment; // a later fragment: no transport header
};

// Hands the frame to the worker of its queue, if the lease and the socket are there.
INLINE u32 transit(const struct frame *frame)
{
	u32 zero = 0;
	u64 *deadline = map_lookup(&lease, &zero);
	if (!deadline || ktime_get_ns() > *(volatile u64 *)deadline)
		return STAT_LEASE_EXPIRED;
	u32 queue = frame->queue;
	if (queue >= MAX_QUEUES)
		return STAT_NO_WORKER;
	// The low bits of the flags are the answer where there is no socket.
	u32 key = frame->port->index * MAX_QUEUES + queue;
	if (redirect_map(&sockets, key, XDP_DROP) != XDP_REDIRECT)
		return STAT_NO_WORKER;
	return STAT_TO_WORKER;
}

INLINE int service_allowed(const struct frame *frame, u8 protocol, u16 number)
{
	struct service_key key = {.port = frame->port->index, .protocol = protocol};
	struct services *services = map_lookup(&inbound, &key);
	if (!services)
		return 0;
	u64 word = *(volatile u64 *)&services->words[(number >> 6) & (SERVICE_WORDS - 1)];
	return (word >> (number & 63)) & 1;
}

// A segment of one of the host's own connections, in any state that knows its peer. A bare SYN
// opens a connection, whatever socket it meets, so only the service map can let it in.
INLINE int tcp_established(const struct frame *frame, const struct packet *packet,
			   const struct transport *ports)
{
	struct bpf_sock *socket;
	if (packet->version == 4) {
		struct tuple4 tuple = {packet->source[0], packet->destination[0], ports->source_port,
				       ports->destination_port};
		socket = lookup_tcp(frame->context, &tuple, sizeof(tuple), F_CURRENT_NETNS, 0);
	} else {
		struct tuple6 tuple;
		__builtin_memcpy(tuple.source, packet->source, 16);
		__builtin_memcpy(tuple.destination, packet->destination, 16);
		tuple.source_port = ports->source_port;
		tuple.destination_port = ports->destination_port;
		socket = lookup_tcp(frame->context, &tuple, sizeof(tuple), F_CURRENT_NETNS, 0);
	}
	if (!socket)
		return 0;
	int established = socket->state != TCP_LISTEN;
	sock_release(socket);
	return established;
}

// A datagram from the peer that one of the host's sockets is connected to. A socket that would
// take it from anyone is a server, and a server needs a service in the map.
INLINE int udp_established4(const struct frame *frame, const struct packet *packet,
			    const struct transport *ports)
{
	struct tuple4 tuple = {packet->source[0], packet->destination[0], ports->source_port,
			       ports->destination_port};
	struct bpf_sock *socket =
		lookup_udp(frame->context, &tuple, sizeof(tuple), F_CURRENT_NETNS, 0);
	if (!socket)
		return 0;
	int peer = socket->dst_ip4 == tuple.source && socket->dst_port == tuple.source_port;
	sock_release(socket);
	return peer;
}

INLINE int udp_established6(const struct frame *frame, const struct packet *packet,
			    const struct transport *ports)
{
	struct tuple6 tuple;
	__builtin_memcpy(tuple.source, packet->source, 16);
	__builtin_memcpy(tuple.destination, packet->destination, 16);
	tuple.source_port = ports->source_port;
	tuple.destination_port = ports->destination_port;
	struct bpf_sock *socket =
		lookup_udp(frame->context, &tuple, sizeof(tuple), F_CURRENT_NETNS, 0);
	if (!socket)
		return 0;
	int peer = socket->dst_port == tuple.source_port && socket->dst_ip6[0] == tuple.source[0] &&
		   socket->dst_ip6[1] == tuple.source[1] && socket->dst_ip6[2] == tuple.source[2] &&
		   socket->dst_ip6[3] == tuple.source[3];
	sock_release(socket);
	return peer;
}

INLINE u32 host_tcp(const struct frame *frame, const struct packet *packet, const u8 *header)
{
	if (header + 20 > (u8 *)frame->end)
		return STAT_MALFORMED;
	const struct transport *ports = (const void *)header;
	u8 flags = header[13] & 0x17; // ACK, RST, SYN, FIN
	if (service_allowed(frame, TCP, BE16(ports->destination_port)))
		return STAT_TO_HOST;
	if (flags != 0x02 && packet->unicast && tcp_established(frame, packet, ports))
		return STAT_TO_HOST;
	return STAT_HOST_DENIED;
}

INLINE u32 host_udp(const struct frame *frame, const struct packet *packet, const u8 *header)
{
	if (header + 8 > (u8 *)frame->end)
		return STAT_MALFORMED;
	const struct transport *ports = (const void *)header;
	if (service_allowed(frame, UDP, BE16(ports->destination_port)))
		return STAT_TO_HOST;
	if (!packet->unicast || !ports->source_port)
		return STAT_HOST_DENIED;
	int established = packet->version == 4 ? udp_established4(frame, packet, ports)
					       : udp_established6(frame, packet, ports);
	if (established)
		return STAT_TO_HOST;
	return STAT_HOST_DENIED;
}

INLINE u32 host_sctp(const struct frame *frame, const u8 *header)
{
	if (header + 12 > (u8 *)frame->end)
		return STAT_MALFORMED;
	const struct transport *ports = (const void *)header;
	if (service_allowed(frame, SCTP, BE16(ports->destination_port)))
		return STAT_TO_HOST;
	return STAT_HOST_DENIED;
}

// Answers to what the host sent: errors (the kernel matches the packet in them to a socket) and
// echo replies. Redirects and the rest need a service.
INLINE int icmp_answer(u8 protocol, u8 type)
{
	if (protocol == ICMP)
		return type == 0 || type == 3 || type == 11 || type == 12;
	return type == 129 || (type >= 1 && type <= 4);
}

// What keeps a link working: neighbour discovery (RFC 4861, valid with hop limit 255 only) and
// multicast listener discovery (RFC 3810 §5, hop limit 1).
INLINE int icmp_link_control(const struct packet *packet, u8 type)
{
	if (packet->protocol != ICMPV6)
		return 0;
	if (type >= 133 && type <= 137)
		return packet->hop_limit == 255;
	if ((type >= 130 && type <= 132) || type == 143)
		return packet->hop_limit == 1;
	return 0;
}

INLINE u32 host_icmp(const struct frame *frame, const struct packet *packet, const u8 *header)
{
	if (header + 8 > (u8 *)frame->end)
		return STAT_MALFORMED;
	u8 type = header[0], code = header[1];
	if (icmp_link_control(packet, type))
		return STAT_LINK_CONTROL;
	if (packet->unicast && icmp_answer(packet->protocol, type))
		return STAT_TO_HOST;
	if (service_allowed(frame, packet->protocol, ((u16)type << 8) | code))
		return STAT_TO_HOST;
	return STAT_HOST_DENIED;
}

// Judges a packet for the host by its transport header. The first fragment of a datagram is judged
// like a whole packet; later ones pass, because without the first they come to nothing.
INLINE u32 host(const struct frame *frame, const struct packet *packet, const u8 *header)
{
	if (packet->fragment)
		return STAT_TO_HOST;
	u8 protocol = packet->protocol;
	if (protocol == TCP)
		return host_tcp(frame, packet, header);
	if (protocol == UDP)
		return host_udp(frame, packet, header);
	if (protocol == SCTP)
		return host_sctp(frame, header);
	if (protocol == (packet->version == 4 ? ICMP : ICMPV6))
		return host_icmp(frame, packet, header);
	// IGMP is MLD's twin and never leaves its link (RFC 3376 §4).
	if (protocol == IGMP && packet->version == 4 && !packet->unicast && packet->hop_limit == 1)
		return STAT_LINK_CONTROL;
	if (service_allowed(frame, protocol, 0))
		return STAT_TO_HOST;
	return STAT_HOST_DENIED;
}

// A source route makes the kernel send a packet on that was addressed to the host.
// True as well for options that cannot be walked.
INLINE int source_routed(const struct frame *frame, const u8 *options, u32 length)
{
	u32 at = 0;
	for (int i = 0; i < MAX_OPTION_BYTES; i++) {
		if (at >= length || at >= MAX_OPTION_BYTES)
			return 0;
		const u8 *option = options + at;
		if (option + 2 > (u8 *)frame->end)
			return 1;
		u8 type = option[0];
		if (type == 0) // end of options
			return 0;
		if (type == 131 || type == 137) // loose, strict source route
			return 1;
		if (type == 1) { // no operation
			at += 1;
			continue;
		}
		if (option[1] < 2)
			return 1;
		at += option[1];
	}
	return 0;
}

// Where a packet goes, or STAT_TO_HOST for "judge it as one for the host": then `packet` and
// `header` are filled in.
INLINE u32 locate_ipv4(const struct frame *frame, const struct ipv4 *ip, int group,
		       struct packet *packet, const u8 **header)
{
	// A header that is no header is the worker's to name.
	if ((void *)(ip + 1) > frame->end || ip->version_length >> 4 != 4)
		return STAT_TO_WORKER;
	u32 length = (ip->version_length & 15) * 4;
	if (length < sizeof(*ip))
		return STAT_TO_WORKER;
	struct address address = {.bytes = {0, 0, BE32(0xffff), ip->destination},
				  .domain = frame->port->domain};
	int multicast = (ip->destination & BE32(0xf0000000)) == BE32(0xe0000000) ||
			ip->destination == ~0U;
	if (!multicast && !map_lookup(&addresses, &address))
		return group ? STAT_NOT_FOR_US : STAT_TO_WORKER;
	*header = (const u8 *)ip + length;
	if ((void *)*header > frame->end)
		return STAT_MALFORMED;
	if (length > sizeof(*ip) && source_routed(frame, (u8 *)(ip + 1), length - sizeof(*ip)))
		return STAT_HOST_DENIED;
	packet->source[0] = ip->source;
	packet->destination[0] = ip->destination;
	packet->version = 4;
	packet->protocol = ip->protocol;
	packet->hop_limit = ip->ttl;
	packet->unicast = !multicast;
	packet->fragment = (ip->fragment & BE16(0x1fff)) != 0;
	return STAT_TO_HOST;
}

// Passes over extension headers to the transport header of a packet for the host.
INLINE u32 pass_extensions(const struct frame *frame, struct packet *packet, const u8 **header)
{
	const u8 *at = *header;
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		u8 type = packet->protocol;
		if (type != HOP_BY_HOP && type != DESTINATION_OPTIONS && type != ROUTING &&
		    type != AUTHENTICATION && type != FRAGMENT) {
			*header = at;
			return STAT_TO_HOST;
		}
		if (at + 8 > (u8 *)frame->end)
			return STAT_MALFORMED;
		packet->protocol = at[0];
		// Segments left: the kernel would send the packet on.
		if (type == ROUTING && at[3])
			return STAT_HOST_DENIED;
		u32 length = ((u32)at[1] + 1) * 8;
		if (type == AUTHENTICATION)
			length = ((u32)at[1] + 2) * 4;
		if (type == FRAGMENT) {
			length = 8;
			if (*(const be16 *)(at + 2) & BE16(0xfff8)) {
				packet->fragment = 1;
				return STAT_TO_HOST;
			}
		}
		at += length;
	}
	return STAT_MALFORMED;
}

// As locate_ipv4.
INLINE u32 locate_ipv6(const struct frame *frame, const struct ipv6 *ip, int group,
		       struct packet *packet, const u8 **header)
{
	if ((void *)(ip + 1) > frame->end || *(u8 *)ip >> 4 != 6)
		return STAT_TO_WORKER;
	const u8 *destination = (const u8 *)ip->destination;
	int multicast = destination[0] == 0xff;
	// A link-local address is somebody on this link, never transit: the kernel knows if it is us.
	int link_local = destination[0] == 0xfe && (destination[1] & 0xc0) == 0x80;
	struct address address = {.domain = frame->port->domain};
	__builtin_memcpy(address.bytes, ip->destination, 16);
	if (!multicast && !link_local && !map_lookup(&addresses, &address))
		return group ? STAT_NOT_FOR_US : STAT_TO_WORKER;
	__builtin_memcpy(packet->source, ip->source, 16);
	__builtin_memcpy(packet->destination, ip->destination, 16);
	packet->version = 6;
	packet->protocol = ip->next;
	packet->hop_limit = ip->hop_limit;
	packet->unicast = !multicast;
	*header = (const u8 *)(ip + 1);
	return pass_extensions(frame, packet, header);
}

// True for a unicast frame to a station that is not this port.
INLINE int other_station(const struct port *port, const struct ethernet *ethernet)
{
	if (!(port->flags & PORT_CHECK_MAC) || ethernet->destination[0] & 1)
		return 0;
	for (int i = 0; i < 6; i++)
		if (ethernet->destination[i] != port->mac[i])
			return 1;
	return 0;
}

INLINE u32 judge_routed(const struct frame *frame, const struct ethernet *ethernet)
{
	if (other_station(frame->port, ethernet))
		return STAT_NOT_FOR_US;
	// IP that is to be routed must have been sent to this station alone (RFC 1812 §5.3.4).
	int group = ethernet->destination[0] & 1;
	struct packet packet = {};
	const u8 *header = 0;
	u32 way;
	if (ethernet->type == ETH_ARP)
		return STAT_LINK_CONTROL;
	if (ethernet->type == ETH_IPV4)
		way = locate_ipv4(frame, (void *)(ethernet + 1), group, &packet, &header);
	else if (ethernet->type == ETH_IPV6)
		way = locate_ipv6(frame, (void *)(ethernet + 1), group, &packet, &header);
	else
		return STAT_TO_WORKER;
	return way == STAT_TO_HOST ? host(frame, &packet, header) : way;
}

SEC("xdp")
int ringwall(struct xdp_md *context)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;
	u32 ifindex = context->ingress_ifindex;
	u32 queue = context->rx_queue_index;

	const struct port *port = map_lookup(&ports, &ifindex);
	struct frame frame = {.context = context, .end = end, .port = port, .queue = queue};
	const struct ethernet *ethernet = data;
	u32 way = STAT_NO_PORT;
	if (port && port->index < MAX_PORTS) {
		way = STAT_TO_WORKER;
		if (port->mode == MODE_ROUTED && (void *)(ethernet + 1) <= end)
			way = judge_routed(&frame, ethernet);
		if (way == STAT_TO_WORKER)
			way = transit(&frame);
	}
	u64 *counter = map_lookup(&stats, &way);
	if (counter)
		*counter += 1;
	if (way == STAT_TO_WORKER)
		return XDP_REDIRECT;
	return way == STAT_TO_HOST || way == STAT_LINK_CONTROL ? XDP_PASS : XDP_DROP;
}
