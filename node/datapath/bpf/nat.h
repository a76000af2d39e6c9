// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What is sent to an address of the host and is transit all the same: the answers to whom source NAT
// gave the address, and what is forwarded from it to somebody inside; or everything. What keeps the
// link working is the host's in any case.
//
// | packet | the workers', if |
// |---|---|
// | TCP, UDP, SCTP | its destination port is forwarded, or in the range and no service of the host's |
// | ICMP reply | its identifier is in the range |
// | ICMP error | it is about a packet from the address whose source port or identifier is one |
// | other ICMP, other protocols | the type and code are forwarded, the protocol is |
//
// A fragment goes where the first one of its datagram went. What is odd is the host's to judge.

// Ports and identifiers that source NAT gives away: 15 for each of 4,096 slots.
#define NAT_FIRST 1024
#define NAT_LAST 62463
// (address, protocol) pairs with at least one service forwarded.
#define MAX_FORWARDED 1024
// Datagrams whose first fragment is remembered.
#define MAX_FRAGMENTED 1024

struct forwarded_key {
	be32 address[4];
	u32 domain;
	u32 protocol;
};

struct {
	NUMBER(type, MAP_HASH);
	TYPE(key, struct forwarded_key);
	TYPE(value, struct services);
	NUMBER(max_entries, MAX_FORWARDED);
	NUMBER(map_flags, F_NO_PREALLOC);
} forwarded SEC(".maps");

struct fragment_key {
	be32 source[4];
	struct address to;
	be32 id;
	u32 protocol; // of IPv4 alone
};

// Where the first fragments went: STAT_TO_WORKER or STAT_TO_HOST.
struct {
	NUMBER(type, MAP_LRU_HASH);
	TYPE(key, struct fragment_key);
	TYPE(value, u32);
	NUMBER(max_entries, MAX_FRAGMENTED);
} fragmented SEC(".maps");

// A packet to an address of the host's.
struct arrival {
	struct frame frame;
	struct packet packet;
	struct address to;
	u32 standing;
	const u8 *header; // of the transport
	u32 cut;	  // a fragment, of the datagram with this id
	be32 id;
};

INLINE int is_forwarded(const struct arrival *arrival, u32 protocol, u16 number)
{
	if (!(arrival->standing & NAT_FORWARDED))
		return 0;
	struct forwarded_key key = {.domain = arrival->to.domain, .protocol = protocol};
	__builtin_memcpy(key.address, arrival->to.bytes, 16);
	return has_service(map_lookup(&forwarded, &key), number);
}

INLINE int in_range(const struct arrival *arrival, u16 number)
{
	return arrival->standing & NAT_RANGE && number >= NAT_FIRST && number <= NAT_LAST;
}

// Whether a port of the address is given away or forwarded. What policy lets into the host is the
// host's: source NAT does not give that away.
INLINE int is_translated(const struct arrival *arrival, u32 protocol, u16 port)
{
	if (is_forwarded(arrival, protocol, port))
		return 1;
	return in_range(arrival, port) && !service_allowed(&arrival->frame, protocol, port);
}

INLINE u32 icmp_of(const struct arrival *arrival)
{
	return arrival->packet.version == 4 ? ICMP : ICMPV6;
}

INLINE int has_ports(u32 protocol)
{
	return protocol == TCP || protocol == UDP || protocol == SCTP;
}

// Queries and their replies have an identifier: echo, and in IPv4 timestamp, information and mask.
INLINE int is_query(const struct arrival *arrival, u8 type)
{
	if (arrival->packet.version == 6)
		return type == 128;
	return type == 8 || type == 13 || type == 15 || type == 17;
}

INLINE int is_reply(const struct arrival *arrival, u8 type)
{
	if (arrival->packet.version == 6)
		return type == 129;
	return type == 0 || type == 14 || type == 16 || type == 18;
}

// Whether a packet that went from the address had been translated: the one that an error is about.
INLINE int was_translated(const struct arrival *arrival, u32 protocol, const u8 *header)
{
	if (header + 8 > (const u8 *)arrival->frame.end)
		return 0;
	const struct transport *ports = (const void *)header;
	if (has_ports(protocol))
		return is_translated(arrival, protocol, BE16(ports->source_port));
	if (protocol != icmp_of(arrival))
		return is_forwarded(arrival, protocol, 0);
	if (is_query(arrival, header[0]))
		return in_range(arrival, BE16(*(const be16 *)(header + 4)));
	// The host's own answer to an echo request, unless those are forwarded.
	return is_reply(arrival, header[0]) &&
	       is_forwarded(arrival, protocol, arrival->packet.version == 4 ? 0x0800 : 0x8000);
}

INLINE int is_error_about_translated(const struct arrival *arrival, const u8 *error)
{
	const void *end = arrival->frame.end;
	const be32 *own = arrival->to.bytes;
	if (arrival->packet.version == 4) {
		const struct ipv4 *ip = (const void *)(error + 8);
		if ((const void *)(ip + 1) > end || ip->source != own[3])
			return 0;
		u32 length = (ip->version_length & 15) * 4;
		OPAQUE(length);
		if (ip->fragment & BE16(0x1fff))
			return 0;
		return was_translated(arrival, ip->protocol, (const u8 *)ip + (length & 63));
	}
	const struct ipv6 *ip = (const void *)(error + 8);
	if ((const void *)(ip + 1) > end || ip->source[0] != own[0] || ip->source[1] != own[1] ||
	    ip->source[2] != own[2] || ip->source[3] != own[3])
		return 0;
	return was_translated(arrival, ip->next, (const u8 *)(ip + 1));
}

INLINE u32 way_of_icmp(const struct arrival *arrival, const u8 *header)
{
	u8 type = header[0], code = header[1];
	int translated;
	if (icmp_link_control(&arrival->packet, type))
		return STAT_TO_HOST;
	if (arrival->standing & NAT_ALL)
		return STAT_TO_WORKER;
	if (is_reply(arrival, type))
		translated = in_range(arrival, BE16(*(const be16 *)(header + 4)));
	else if (icmp_answer(arrival->packet.protocol, type))
		translated = is_error_about_translated(arrival, header);
	else
		translated = is_forwarded(arrival, arrival->packet.protocol, (u16)type << 8 | code);
	return translated ? STAT_TO_WORKER : STAT_TO_HOST;
}

INLINE u32 way_of(const struct arrival *arrival)
{
	const u8 *header = arrival->header;
	const struct transport *ports = (const void *)header;
	u32 protocol = arrival->packet.protocol;
	int whole = header + 8 <= (const u8 *)arrival->frame.end;
	int translated = arrival->standing & NAT_ALL;
	if (protocol == icmp_of(arrival) && whole)
		return way_of_icmp(arrival, header);
	if (!translated && has_ports(protocol))
		translated = whole && is_translated(arrival, protocol, BE16(ports->destination_port));
	else if (!translated)
		translated = is_forwarded(arrival, protocol, 0);
	return translated ? STAT_TO_WORKER : STAT_TO_HOST;
}

INLINE struct fragment_key fragment_key_of(const struct arrival *arrival)
{
	struct fragment_key key = {.to = arrival->to, .id = arrival->id};
	__builtin_memcpy(key.source, arrival->packet.source, 16);
	if (arrival->packet.version == 4)
		key.protocol = arrival->packet.protocol;
	return key;
}

// As way_of, for a later fragment. Before the first one it goes to the workers, who wait for that.
INLINE u32 way_of_later(const struct arrival *arrival)
{
	struct fragment_key key = fragment_key_of(arrival);
	const u32 *way = map_lookup(&fragmented, &key);
	return way && *(volatile u32 *)way == STAT_TO_HOST ? STAT_TO_HOST : STAT_TO_WORKER;
}

// Where a packet goes that was sent to an own address with this standing: STAT_TO_WORKER or
// STAT_TO_HOST. `place` is the lower half of its port's word.
APART u32 way_of_own(struct xdp_md *context, u32 place, u32 standing)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;
	const struct ethernet *ethernet = data;
	// What cannot be opened.
	u32 odd = standing & NAT_ALL ? STAT_TO_WORKER : STAT_TO_HOST;
	if ((void *)(ethernet + 1) > end)
		return odd;
	struct arrival arrival = {.standing = standing};
	arrival.frame.context = context;
	arrival.frame.end = end;
	arrival.frame.port = place % MAX_PORTS;
	arrival.to.domain = place >> 16;
	u32 at;
	if (ethernet->type == ETH_IPV4) {
		const struct ipv4 *ip = (void *)(ethernet + 1);
		at = open_ipv4(&arrival.frame, ip, &arrival.packet);
		if (at < STATS)
			return odd;
		arrival.to.bytes[2] = BE32(0xffff);
		arrival.to.bytes[3] = ip->destination;
		arrival.cut = ip->fragment & BE16(0x3fff);
		arrival.id = ip->id;
	} else {
		const struct ipv6 *ip = (void *)(ethernet + 1);
		const be32 *fragment = (void *)(ip + 1);
		at = open_ipv6(&arrival.frame, ip, &arrival.packet);
		if (at < STATS)
			return odd;
		__builtin_memcpy(arrival.to.bytes, ip->destination, 16);
		// Behind other extension headers nobody looks for one: the later ones go to the workers.
		if (ip->next == FRAGMENT && (void *)(fragment + 2) <= end) {
			arrival.cut = fragment[0] & BE32(0x0000fff9);
			arrival.id = fragment[1];
		}
	}
	if (at > MAX_OFFSET)
		return odd;
	OPAQUE(at);
	arrival.header = (u8 *)data + (at & MAX_OFFSET);
	if (arrival.packet.fragment)
		return way_of_later(&arrival);
	u32 way = way_of(&arrival);
	if (arrival.cut) {
		struct fragment_key key = fragment_key_of(&arrival);
		map_update(&fragmented, &key, &way, 0);
	}
	return way;
}
