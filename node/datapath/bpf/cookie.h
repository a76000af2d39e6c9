// SPDX-License-Identifier: MIT OR Apache-2.0
//
// SYNs to a destination that is guarded are answered here, in its place, without any memory of them:
// the SYN-ACK's numbers are a cookie. `wire::cookie` draws it and is the twin, byte for byte; the ACK
// is for the engine. What is not a plain SYN goes to the worker, whose engine answers what it can.
//
// Straight-line code but for the options, and without a call but for the lookups and the length.

// Destinations that are guarded at a time.
#define MAX_GUARDED 128
// TCP options of one SYN. Real ones have eight at most, with padding.
#define MAX_OPTIONS 16
// Bytes of a SYN-ACK's TCP header with timestamps and without.
#define STAMPED_HEADER 40
#define BARE_HEADER 24
// As `ANSWER_HOP_LIMIT` of the engine.
#define HOP_LIMIT 64
// As `SCALE` of `wire::cookie`: the window scale that is announced.
#define SCALE 7
// Bytes that are hashed.
#define MESSAGE 45

#define NO_SCALE 15
#define SACK_BIT 16

enum tcp_option { OPTION_END, OPTION_NOP, OPTION_MSS, OPTION_SCALE, OPTION_SACK_PERMITTED };
#define OPTION_SACK 5
#define OPTION_STAMPS 8

// A destination whose SYNs are answered.
struct guard {
	u64 until;    // CLOCK_MONOTONIC, ns
	u64 answered; // so many were
	u32 mss;      // that is announced
	u32 zero;
};

// What cookies are made with.
struct cookie {
	u64 key[2];
	u32 slot;
	u32 zero;
};

// By address, with the zone of the port and 1 in the place of the domain.
struct {
	NUMBER(type, MAP_HASH);
	TYPE(key, struct address);
	TYPE(value, struct guard);
	NUMBER(max_entries, MAX_GUARDED);
} guards SEC(".maps");

// Covers every key of `guards`, at any time.
struct {
	NUMBER(type, MAP_ARRAY);
	TYPE(key, u32);
	TYPE(value, struct filter);
	NUMBER(max_entries, 1);
} guards_filter SEC(".maps");

struct {
	NUMBER(type, MAP_ARRAY);
	TYPE(key, u32);
	TYPE(value, struct cookie);
	NUMBER(max_entries, 1);
} cookies SEC(".maps");

// What is read of a SYN before its frame changes.
struct syn {
	be32 source[4], destination[4]; // IPv4 as ::ffff:a.b.c.d
	u64 head;			// ports and sequence number, as they stand
	u32 version;
	u32 mss;
	u32 kept; // window scale, or NO_SCALE, and SACK_BIT
	u32 stamped;
	be32 stamp;
};

// What the functions hand to each other: each is walked through by the verifier once, by itself.
struct scratch {
	struct syn syn;
	u32 words[20]; // its options, with room for what is read beyond their end
	// The answer: its cookie, its options, and the length of its TCP header.
	be32 cookie, options[5];
	u32 length;
};

struct {
	NUMBER(type, MAP_PERCPU_ARRAY);
	TYPE(key, u32);
	TYPE(value, struct scratch);
	NUMBER(max_entries, 1);
} scratches SEC(".maps");

#define ROTATED(word, bits) ((word) << (bits) | (word) >> (64 - (bits)))
#define SIP_ROUND(a, b, c, d)                                                               \
	do {                                                                                \
		a += b, c += d;                                                             \
		b = ROTATED(b, 13), d = ROTATED(d, 16);                                     \
		b ^= a, d ^= c;                                                             \
		a = ROTATED(a, 32);                                                         \
		c += b, a += d;                                                             \
		b = ROTATED(b, 17), d = ROTATED(d, 21);                                     \
		b ^= c, d ^= a;                                                             \
		c = ROTATED(c, 32);                                                         \
	} while (0)
#define SIP_WORD(word)                                                                      \
	do {                                                                                \
		u64 m = (word);                                                             \
		d ^= m;                                                                     \
		SIP_ROUND(a, b, c, d);                                                      \
		a ^= m;                                                                     \
	} while (0)

INLINE u64 words(be32 first, be32 second)
{
	return first | (u64)second << 32;
}

// SipHash-1-3 of addresses, ports and number as they stand in the packet, slot and size.
INLINE u64 sip_hash(const struct cookie *cookie, const struct syn *syn, u32 slot, u32 size)
{
	u64 key0 = *(volatile u64 *)&cookie->key[0], key1 = *(volatile u64 *)&cookie->key[1];
	u64 a = key0 ^ 0x736f6d6570736575ULL, b = key1 ^ 0x646f72616e646f6dULL;
	u64 c = key0 ^ 0x6c7967656e657261ULL, d = key1 ^ 0x7465646279746573ULL;
	SIP_WORD(words(syn->source[0], syn->source[1]));
	SIP_WORD(words(syn->source[2], syn->source[3]));
	SIP_WORD(words(syn->destination[0], syn->destination[1]));
	SIP_WORD(words(syn->destination[2], syn->destination[3]));
	SIP_WORD(syn->head);
	SIP_WORD(slot | (u64)size << 32 | (u64)MESSAGE << 56);
	c ^= 0xff;
	SIP_ROUND(a, b, c, d);
	SIP_ROUND(a, b, c, d);
	SIP_ROUND(a, b, c, d);
	return a ^ b ^ c ^ d;
}

// The place of the largest of `SIZES` of `wire::cookie` that is not above it.
INLINE u32 size_of(u32 mss)
{
	return (mss >= 1220) + (mss >= 1300) + (mss >= 1360) + (mss >= 1400) + (mss >= 1440) +
	       (mss >= 1460) + (mss >= 8960);
}

// A one's complement sum of words in network order, folded; it does not care for the order of bytes.
INLINE u16 checksum_of(u64 sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return ~sum;
}

// The IP header of a plain packet: fills in the addresses. The offset of its TCP header, or 0: it is odd.
INLINE u32 open_plain(const struct ethernet *ethernet, const void *end, struct syn *syn)
{
	// Nobody is answered who is not one station, or does not speak to one.
	if ((void *)(ethernet + 1) > end || (ethernet->destination[0] | ethernet->source[0]) & 1)
		return 0;
	if (ethernet->type == ETH_IPV4) {
		const struct ipv4 *ip = (void *)(ethernet + 1);
		if ((void *)(ip + 1) > end || ip->version_length != 0x45 || ip->protocol != TCP)
			return 0;
		u8 first = *(const u8 *)&ip->source;
		if (ip->fragment & BE16(0xbfff) || !ip->ttl || !first || first == 127 || first >= 224)
			return 0;
		const be32 *word = (const void *)ip;
		if (checksum_of((u64)word[0] + word[1] + word[2] + word[3] + word[4]))
			return 0;
		u32 length = BE16(ip->total_length);
		if (length < sizeof(*ip) + 20 || (const u8 *)ip + (length & 0xffff) > (const u8 *)end)
			return 0;
		syn->version = 4;
		syn->source[0] = syn->source[1] = syn->destination[0] = syn->destination[1] = 0;
		syn->source[2] = syn->destination[2] = BE32(0xffff);
		syn->source[3] = ip->source;
		syn->destination[3] = ip->destination;
		return sizeof(*ethernet) + sizeof(*ip);
	}
	if (ethernet->type == ETH_IPV6) {
		const struct ipv6 *ip = (void *)(ethernet + 1);
		if ((void *)(ip + 1) > end || *(const u8 *)ip >> 4 != 6 || ip->next != TCP)
			return 0;
		u8 first = *(const u8 *)ip->source;
		if (!ip->hop_limit || first == 0xff || !(ip->source[0] | ip->source[1] | ip->source[2]))
			return 0;
		u32 length = BE16(ip->payload_length);
		if (length < 20 || (const u8 *)(ip + 1) + (length & 0xffff) > (const u8 *)end)
			return 0;
		syn->version = 6;
		__builtin_memcpy(syn->source, ip->source, 16);
		__builtin_memcpy(syn->destination, ip->destination, 16);
		return sizeof(*ethernet) + sizeof(*ip);
	}
	return 0;
}

// All ones if both are equal, else 0; without a branch. Both are below 2^32.
INLINE u64 equal(u64 a, u64 b)
{
	u64 mask = -(((a ^ b) - 1) >> 63);
	OPAQUE(mask);
	return mask;
}

// `yes` where the mask is set, `no` where it is not.
INLINE u64 chosen(u64 mask, u64 yes, u64 no)
{
	return no ^ ((no ^ yes) & mask);
}

// Reads the options, which have so many bytes. False for what `wire` refuses, and for too many. Each
// round goes one way, as those of the walks for the host do: kinds are told by masks.
APART u32 read_options(u32 bytes)
{
	u32 zero = 0;
	struct scratch *scratch = map_lookup(&scratches, &zero);
	if (!scratch)
		return 0;
	struct syn *syn = &scratch->syn;
	u64 length = bytes, at = 0, bad = 0, stamped = 0, stamp = 0;
	u64 mss = syn->version == 4 ? 536 : 1220, kept = NO_SCALE;
#pragma clang loop unroll(disable)
	for (int i = 0; i < MAX_OPTIONS; i++) {
		if (at >= length || at > 39)
			break;
		OPAQUE(at);
		const u8 *option = (const u8 *)scratch->words + (at & 63);
		u64 kind = option[0];
		if (kind == OPTION_END) {
			at = length;
			break;
		}
		OPAQUE(kind);
		u64 no_operation = equal(kind, OPTION_NOP);
		u64 size = chosen(no_operation, 1, option[1]);
		// Below 2 no option is whole but that; nor is one that ends behind the header.
		bad |= (size - 2) >> 63 & ~no_operation;
		bad |= (length - at - size) >> 63;
		u64 is_mss = equal(kind, OPTION_MSS);
		bad |= is_mss & (size ^ 4);
		mss = chosen(is_mss, (u64)option[2] << 8 | option[3], mss);
		u64 is_scale = equal(kind, OPTION_SCALE), scale = option[2];
		bad |= is_scale & (size ^ 3);
		scale = chosen(-((14 - scale) >> 63), 14, scale);
		kept = chosen(is_scale, (kept & SACK_BIT) | scale, kept);
		u64 is_permitted = equal(kind, OPTION_SACK_PERMITTED);
		bad |= is_permitted & (size ^ 2);
		kept |= is_permitted & SACK_BIT;
		u64 is_stamps = equal(kind, OPTION_STAMPS);
		bad |= is_stamps & (size ^ 10);
		stamped |= is_stamps;
		u64 word = (u64)option[2] | (u64)option[3] << 8 | (u64)option[4] << 16;
		stamp = chosen(is_stamps, word | (u64)option[5] << 24, stamp);
		bad |= equal(kind, OPTION_SACK);
		// What is no size leads on, and to nothing.
		at += size;
	}
	syn->mss = mss;
	syn->kept = kept;
	syn->stamped = stamped & 1;
	syn->stamp = stamp;
	return at >= length && !bad;
}

// Draws the cookie, and says what the SYN-ACK has. False if nobody has said what with.
APART u32 draw_answer(u32 announced)
{
	u32 zero = 0;
	struct scratch *scratch = map_lookup(&scratches, &zero);
	const struct cookie *cookie = map_lookup(&cookies, &zero);
	if (!scratch || !cookie)
		return 0;
	const struct syn *syn = &scratch->syn;
	u32 size = size_of(syn->mss), slot = *(volatile u32 *)&cookie->slot, kept = syn->kept;
	u64 hash = sip_hash(cookie, syn, slot, size);
	u32 told = ((u32)(hash >> 32) & ~63U) | kept;
	scratch->cookie = BE32(((u32)hash & ~31U) | (slot & 3) << 3 | size);
	scratch->options[0] = BE32(0x02040000 | (announced & 0xffff));
	scratch->options[1] = kept & SACK_BIT ? BE32(0x0402080a) : BE32(0x0101080a);
	scratch->options[2] = BE32(told);
	scratch->options[3] = syn->stamp;
	scratch->options[4] = (kept & NO_SCALE) == NO_SCALE ? BE32(0x01010101)
							   : BE32(0x01030300 | SCALE);
	scratch->length = syn->stamped ? STAMPED_HEADER : BARE_HEADER;
	return 1;
}

// Writes the SYN-ACK over the frame, which is as long as it is by now, its TCP header at this offset.
APART u32 write_answer(struct xdp_md *context, u32 at)
{
	u32 zero = 0;
	const struct scratch *scratch = map_lookup(&scratches, &zero);
	if (!scratch)
		return 0;
	const struct syn *syn = &scratch->syn;
	const be32 *options = scratch->options;
	u32 length = scratch->length == STAMPED_HEADER ? STAMPED_HEADER : BARE_HEADER;
	u8 *data = (void *)(long)context->data;
	const u8 *end = (void *)(long)context->data_end;
	struct ethernet *ethernet = (void *)data;
	if ((void *)(ethernet + 1) > (void *)end)
		return 0;
	be16 *to = (void *)ethernet->destination, *from = (void *)ethernet->source;
	for (int i = 0; i < 3; i++) {
		be16 swapped = to[i];
		to[i] = from[i];
		from[i] = swapped;
	}
	u64 sum = (u64)syn->source[0] + syn->source[1] + syn->source[2] + syn->source[3];
	sum += (u64)syn->destination[0] + syn->destination[1] + syn->destination[2];
	sum += syn->destination[3];
	if (syn->version == 4) {
		struct ipv4 *ip = (void *)(ethernet + 1);
		if ((void *)(ip + 1) > (void *)end)
			return 0;
		// Without the 0xffff of the mapped addresses.
		sum = (u64)syn->source[3] + syn->destination[3];
		be32 *word = (void *)ip;
		word[0] = BE32(0x45000000 | (sizeof(*ip) + length));
		word[1] = BE32(0x00004000);
		word[2] = BE32(HOP_LIMIT << 24 | TCP << 16);
		ip->checksum = checksum_of(sum + word[0] + word[1] + word[2]);
		ip->source = syn->destination[3];
		ip->destination = syn->source[3];
	} else {
		struct ipv6 *ip = (void *)(ethernet + 1);
		if ((void *)(ip + 1) > (void *)end)
			return 0;
		be32 *word = (void *)ip;
		word[0] = BE32(0x60000000);
		word[1] = BE32(length << 16 | TCP << 8 | HOP_LIMIT);
		__builtin_memcpy(ip->source, syn->destination, 16);
		__builtin_memcpy(ip->destination, syn->source, 16);
	}
	be32 *tcp = (void *)(data + (at & 63));
	if ((u8 *)(tcp + 6) > end)
		return 0;
	u32 ports = syn->head, number = syn->head >> 32;
	tcp[0] = ports << 16 | ports >> 16;
	tcp[1] = scratch->cookie;
	tcp[2] = BE32(BE32(number) + 1);
	tcp[3] = BE32(length << 26 | 0x120000);
	tcp[5] = options[0];
	sum += BE32(TCP << 16 | length);
	sum += (u64)tcp[0] + tcp[1] + tcp[2] + tcp[3] + tcp[5];
	if (length == STAMPED_HEADER) {
		if ((u8 *)(tcp + 10) > end)
			return 0;
		tcp[6] = options[1];
		tcp[7] = options[2];
		tcp[8] = options[3];
		tcp[9] = options[4];
		sum += (u64)tcp[6] + tcp[7] + tcp[8] + tcp[9];
	}
	tcp[4] = checksum_of(sum);
	return 1;
}

// Whether the frame was a SYN to a destination that is guarded in this zone, and is its SYN-ACK now.
APART u32 answer_syn(struct xdp_md *context, u32 zone)
{
	u8 *data = (void *)(long)context->data;
	const u8 *end = (void *)(long)context->data_end;
	u32 zero = 0;
	struct scratch *scratch = map_lookup(&scratches, &zero);
	if (!scratch)
		return 0;
	struct syn *syn = &scratch->syn;
	u32 at = open_plain((void *)data, end, syn);
	if (!at)
		return 0;
	OPAQUE(at);
	const u8 *tcp = data + (at & 63);
	if (tcp + 20 > end || (tcp[13] & 0x17) != 0x02)
		return 0;
	struct address destination = {.domain = zone};
	__builtin_memcpy(destination.bytes, syn->destination, 16);
	if (surely_absent(&guards_filter, filter_bit(&destination)))
		return 0;
	struct guard *guard = map_lookup(&guards, &destination);
	if (!guard || ktime_get_ns() >= *(volatile u64 *)&guard->until)
		return 0;
	const struct transport *ports = (const void *)tcp;
	u32 header = (tcp[12] >> 4) * 4;
	if (!ports->source_port || !ports->destination_port || header < 20 || tcp + header > end)
		return 0;
	const u32 *words = (const void *)tcp;
	syn->head = words[0] | (u64)words[1] << 32;
	words += 5;
#pragma clang loop unroll(full)
	for (int i = 0; i < 10; i++) {
		if ((const u8 *)(words + i + 1) > end)
			break;
		scratch->words[i] = words[i];
	}
	if (!read_options(header - 20) || !draw_answer(*(volatile u32 *)&guard->mss))
		return 0;
	// Nothing has changed yet, so the worker has the whole of it if there is no room.
	u32 length = at + scratch->length;
	if (adjust_tail(context, (int)length - (int)(end - data)))
		return 0;
	if (!write_answer(context, at))
		return 0;
	__sync_fetch_and_add(&guard->answered, 1);
	return 1;
}
