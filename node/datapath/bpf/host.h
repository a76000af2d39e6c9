// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What is for the host's own stack: allowed services, answers to what the host sent, and what keeps a link
// working.

// The arguments that every step needs.
struct frame {
	void *context;
	void *end;
	u32 port; // its index
	u32 domain;
};

INLINE int silent_about(u32 domain, const be32 target[4]);

// A packet for the host, with its transport header.
struct packet {
	be32 source[4], destination[4]; // IPv4 in the first word
	u8 version;
	u8 protocol;
	u8 hop_limit;
	u8 unicast;  // not multicast or broadcast
	u8 fragment; // a later fragment: no transport header
};

INLINE int multicast4(be32 destination)
{
	return (destination & BE32(0xf0000000)) == BE32(0xe0000000) || destination == ~0U;
}

INLINE int has_service(const struct services *services, u16 number)
{
	if (!services)
		return 0;
	u64 word = *(volatile u64 *)&services->words[(number >> 6) & (SERVICE_WORDS - 1)];
	return (word >> (number & 63)) & 1;
}

INLINE int service_allowed(const struct frame *frame, u8 protocol, u16 number)
{
	struct service_key key = {.port = frame->port, .protocol = protocol};
	return has_service(map_lookup(&inbound, &key), number);
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
	if (packet->protocol == ICMPV6 && type == NEIGHBOUR_SOLICITATION) {
		const struct solicitation *asked = (const void *)header;
		if ((void *)(asked + 1) > frame->end)
			return STAT_MALFORMED;
		if (silent_about(frame->domain, asked->target))
			return STAT_VIP_WITHOUT_LEASE;
	}
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
INLINE u32 judge(const struct frame *frame, const struct packet *packet, const u8 *header)
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

// The two walks below compute their next step without a branch: with one way through a round, the
// verifier walks them once; with two, once for every sequence of them.

// A source route makes the kernel send a packet on that was addressed to the host.
// True as well for options that cannot be walked. `length` is theirs, at most MAX_OPTION_BYTES.
APART u32 source_routed(struct xdp_md *context, u32 length)
{
	const u8 *options = (u8 *)(long)context->data + sizeof(struct ethernet) + sizeof(struct ipv4);
	const u8 *end = (u8 *)(long)context->data_end;
	u64 at = 0;
#pragma clang loop unroll(disable)
	for (int i = 0; i < MAX_OPTION_BYTES; i++) {
		if (at >= length || at >= MAX_OPTION_BYTES)
			return 0;
		const u8 *option = options + at;
		if (option + 2 > end)
			return 1;
		u64 type = option[0];
		if (type == 0) // end of options
			return 0;
		if (type == 131 || type == 137) // loose, strict source route
			return 1;
		OPAQUE(type);
		u64 no_operation = ((type ^ 1) - 1) >> 63; // 1 for type 1, which has no length
		u64 step = (option[1] & (no_operation - 1)) + no_operation;
		if (step + no_operation < 2)
			return 1;
		at += step;
	}
	return 0;
}

#define BIT(type) (1ULL << (type))
#define IS(types, type) ((types) >> (type)&1)
#define EXTENSIONS                                                                          \
	(BIT(HOP_BY_HOP) | BIT(ROUTING) | BIT(FRAGMENT) | BIT(AUTHENTICATION) |             \
	 BIT(DESTINATION_OPTIONS))

// Passes over extension headers to the transport header of a packet for the host. Its offset << 16
// | (1 << 8 for a later fragment) | protocol; or a number below STATS, where the packet goes.
APART u32 pass_extensions(struct xdp_md *context, u32 first)
{
	const u8 *data = (u8 *)(long)context->data;
	const u8 *end = (u8 *)(long)context->data_end;
	u32 type = first & 0xff, at = sizeof(struct ethernet) + sizeof(struct ipv6);
#pragma clang loop unroll(disable)
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		if (type > 63 || !IS(EXTENSIONS, type))
			return at << 16 | type;
		if (at > MAX_OFFSET)
			return STAT_MALFORMED;
		OPAQUE(at);
		const u8 *header = data + (at & MAX_OFFSET);
		if (header + 8 > end)
			return STAT_MALFORMED;
		// Segments left: the kernel would send the packet on.
		if (IS(BIT(ROUTING), type) * header[3])
			return STAT_HOST_DENIED;
		u32 fragment = IS(BIT(FRAGMENT), type);
		if (fragment * (*(const be16 *)(header + 2) & BE16(0xfff8)))
			return at << 16 | 1 << 8 | header[0];
		// (n + 1) * 8 bytes; an authentication header has (n + 2) * 4, a fragment header 8.
		u32 scale = 8 - IS(BIT(AUTHENTICATION), type) * 4 - fragment * 8;
		at += 8 + header[1] * scale;
		type = header[0];
	}
	return STAT_MALFORMED;
}

// Fills in the packet. The offset of its transport header, or a number below STATS: where it goes.
INLINE u32 open_ipv4(const struct frame *frame, const struct ipv4 *ip, struct packet *packet)
{
	if ((void *)(ip + 1) > frame->end)
		return STAT_MALFORMED;
	u32 length = (ip->version_length & 15) * 4;
	if ((const u8 *)ip + length > (u8 *)frame->end)
		return STAT_MALFORMED;
	be32 destination = ip->destination;
	packet->source[0] = ip->source;
	packet->destination[0] = destination;
	packet->version = 4;
	packet->protocol = ip->protocol;
	packet->hop_limit = ip->ttl;
	packet->unicast = !multicast4(destination);
	packet->fragment = (ip->fragment & BE16(0x1fff)) != 0;
	if (length > sizeof(*ip) && source_routed(frame->context, length - sizeof(*ip)))
		return STAT_HOST_DENIED;
	return sizeof(struct ethernet) + length;
}

// As open_ipv4.
INLINE u32 open_ipv6(const struct frame *frame, const struct ipv6 *ip, struct packet *packet)
{
	if ((void *)(ip + 1) > frame->end)
		return STAT_MALFORMED;
	__builtin_memcpy(packet->source, ip->source, 16);
	__builtin_memcpy(packet->destination, ip->destination, 16);
	packet->version = 6;
	packet->hop_limit = ip->hop_limit;
	packet->unicast = *(const u8 *)ip->destination != 0xff;
	u32 transport = pass_extensions(frame->context, ip->next);
	if (transport < STATS)
		return transport;
	packet->protocol = transport;
	packet->fragment = transport >> 8 & 1;
	return transport >> 16;
}

// Where a packet for the host goes. `place` is the lower half of its port's word.
APART u32 to_host(struct xdp_md *context, u32 place)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;
	struct frame frame = {.context = context,
			      .end = end,
			      .port = place % MAX_PORTS,
			      .domain = place >> 16};
	const struct ethernet *ethernet = data;
	struct packet packet = {};
	if ((void *)(ethernet + 1) > end)
		return STAT_MALFORMED;
	u32 at = ethernet->type == ETH_IPV4 ? open_ipv4(&frame, (void *)(ethernet + 1), &packet)
					    : open_ipv6(&frame, (void *)(ethernet + 1), &packet);
	if (at < STATS)
		return at;
	if (at > MAX_OFFSET)
		return STAT_MALFORMED;
	OPAQUE(at);
	return judge(&frame, &packet, (u8 *)data + (at & MAX_OFFSET));
}
