// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The gate on every port: what goes to the workers, what to the host's own stack, what nowhere.
//
// A frame sent to AF_XDP cannot go back to the kernel, so traffic for the host itself is decided
// here. It is decided the same way when no daemon runs; transit is dropped then, because the lease
// has run out or no socket is there. So is what is for an address of the cluster's (VIP), and who
// asks for one by ARP or neighbour discovery: the kernel may have it still, and would answer. Before
// all that, IP from a source that is blocked at this port's zone goes nowhere. Of transit, SYNs to a
// destination that is guarded are answered with cookies (cookie.h). Of what is for the host, some is
// transit by address translation (nat.h).
// Nothing here relies on the kernel's forwarding switches: the kernel is only ever handed frames
// for the host's own addresses and the link's own protocols.
//
// Every frame moves exactly one counter. Built by bpf/build.sh; the object is committed.
//
// Transit is straight-line code without a call but the redirect: on processors that guard returns
// each call costs 10 to 30 ns. What is for the host (host.h) is judged by functions of its own, which the
// verifier walks through once each instead of once for every way that leads there.
//
// Context fields are read once, at the top: clang 14 otherwise computes their addresses, and the
// verifier refuses that.

#include "abi.h"

// ---- Limits; the loader checks its own against the loaded maps. ----

// Ports a node may have, and receive queues of one port.
#define MAX_PORTS 64
#define MAX_QUEUES 64
// The host's own addresses over all domains.
#define MAX_ADDRESSES 8192
// Words of the bitmap that says which addresses may be the host's: 8 bits for each of them. So long
// is the one of blocked sources, too.
#define FILTER_WORDS 1024
// Sources that are blocked at a time.
#define MAX_BLOCKED 4096
// Places to find a port by the low bits of its ifindex.
#define SLOTS 256
// (port, protocol) pairs with at least one service allowed.
#define MAX_INBOUND 1024
// Words of the bitmap over one protocol's 65,536 service numbers.
#define SERVICE_WORDS 1024
// IPv6 extension headers passed over in a packet for the host. Real ones carry two or three.
#define MAX_EXTENSIONS 8
// IPv4 option bytes: (15 - 5) * 4.
#define MAX_OPTION_BYTES 40
// A transport header's offset. Eight of the longest extension headers end before it; the verifier
// wants a bound below 65,536.
#define MAX_OFFSET 0x7fff
// Room for counters, in each CPU's words.
#define COUNTERS 16
// Frames of one CPU after which the clock is read again, if not a timer tick came first: the
// kernel's budget for one poll of a NIC.
#define FRAMES_A_CLOCK 64

// ---- What the loader and this program share; the loader's tests compare. ----

// One per way a frame can go. The order is the order of the loader's `Stat`.
enum stat {
	STAT_TO_WORKER,	    // handed to an AF_XDP socket
	STAT_TO_HOST,	    // IP for the host, allowed
	STAT_LINK_CONTROL,  // ARP, neighbour discovery, MLD, IGMP: to the kernel
	STAT_HOST_DENIED,   // IP for the host, not allowed
	STAT_LEASE_EXPIRED, // transit without a valid lease
	STAT_VIP_WITHOUT_LEASE, // to a VIP, or asking for one, without a valid lease
	STAT_NO_WORKER,	    // transit, and no socket on this port and queue
	STAT_MALFORMED,	    // IP for the host whose headers are cut off or endless
	STAT_NOT_FOR_US,    // sent to another station's MAC, or routed IP sent to all stations
	STAT_BLOCKED,	    // IP from a source that is blocked for a time
	STAT_SYN_ANSWERED,  // a SYN to a guarded destination: its SYN-ACK went back
	STAT_NO_PORT,	    // arrived by an interface that is not configured
	STATS,
};

// What an address is to this node: bits of the values of `addresses`.
#define OWN 1 // the kernel has it
#define VIP 2 // the cluster's: for who has the lease, whatever the kernel has
// Of an own address, or a VIP, what is transit for translation; `nat.h` tells which packets are.
#define NAT_ALL 4	 // everything
#define NAT_RANGE 8	 // the ports and identifiers that source NAT gives away
#define NAT_FORWARDED 16 // what `forwarded` has of it
#define NAT (NAT_ALL | NAT_RANGE | NAT_FORWARDED)
// A way that is not decided yet: the standing in the other bits.
#define ASK_NAT 0x100
// Of such a one: only the workers may have it, as they take transit in without a lease.
#define LATE 0x200

enum mode { MODE_ROUTED = 0, MODE_WIRE = 1 };

// The deadlines of transit. Behind the second one it reaches the workers, who forward nothing then:
// they pass it on to the owner, or hold it until this node is.
enum lease_word { LEASE_FORWARD, LEASE_LATECOMERS, LEASE_WORDS };

enum port_flags { PORT_CHECK_MAC = 1 };

// Two words, each read at once, so that a changed port is never seen half changed.
struct port {
	u64 word; // ifindex << 32 | domain << 16 | mode << 8 | index; 0 for none
	u8 mac[6];
	u8 flags; // PORT_CHECK_MAC: unicast frames to other addresses are not ours
	u8 zero;
};

// An address of the host or the cluster: IPv4 as ::ffff:a.b.c.d.
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

// How a port's zone counts sources: the bits of them that are one, in IPv4 and in IPv6.
struct screen {
	u32 zone; // its number and 1; 0 for none, or nobody is blocked
	be32 v4, v6[4];
	u32 guarded; // as `zone`; 0 where no destination is guarded
};

// A bit for each value of `filter_bit`: set if one of the addresses has it.
struct filter {
	u64 words[FILTER_WORDS];
};

// What belongs to one CPU.
struct cpu {
	u64 counters[COUNTERS]; // by enum stat
	// The lease held until `deadline` when the clock was read at `tick`; see `lease_holds`.
	u64 deadline, tick, frames;
};

struct {
	NUMBER(type, MAP_HASH);
	TYPE(key, u32); // ifindex
	TYPE(value, struct port);
	NUMBER(max_entries, MAX_PORTS);
} ports SEC(".maps");

// The same once more, by ifindex % SLOTS, for the first port that came to a slot.
struct {
	NUMBER(type, MAP_ARRAY);
	TYPE(key, u32);
	TYPE(value, struct port);
	NUMBER(max_entries, SLOTS);
} slots SEC(".maps");

struct {
	NUMBER(type, MAP_XSK);
	TYPE(key, u32); // port index * MAX_QUEUES + receive queue
	TYPE(value, u32);
	NUMBER(max_entries, MAX_PORTS *MAX_QUEUES);
} sockets SEC(".maps");

struct {
	NUMBER(type, MAP_ARRAY);
	TYPE(key, u32);
	TYPE(value, u64); // CLOCK_MONOTONIC, ns: forwarding is over after it, the workers' door shut
	NUMBER(max_entries, LEASE_WORDS);
} lease SEC(".maps");

struct {
	NUMBER(type, MAP_HASH);
	TYPE(key, struct address);
	TYPE(value, u8);
	NUMBER(max_entries, MAX_ADDRESSES);
	NUMBER(map_flags, F_NO_PREALLOC);
} addresses SEC(".maps");

// Covers every key of `addresses`, at any time.
struct {
	NUMBER(type, MAP_ARRAY);
	TYPE(key, u32);
	TYPE(value, struct filter);
	NUMBER(max_entries, 1);
} filter SEC(".maps");

struct {
	NUMBER(type, MAP_ARRAY);
	TYPE(key, u32); // port index
	TYPE(value, struct screen);
	NUMBER(max_entries, MAX_PORTS);
} screens SEC(".maps");

// Sources, with `zone` of their screen in the place of the domain.
struct {
	NUMBER(type, MAP_HASH);
	TYPE(key, struct address);
	TYPE(value, u64); // CLOCK_MONOTONIC, ns: they pass again after it
	NUMBER(max_entries, MAX_BLOCKED);
} blocked SEC(".maps");

// Covers every key of `blocked`, at any time.
struct {
	NUMBER(type, MAP_ARRAY);
	TYPE(key, u32);
	TYPE(value, struct filter);
	NUMBER(max_entries, 1);
} blocked_filter SEC(".maps");

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
	TYPE(value, struct cpu);
	NUMBER(max_entries, 1);
} cpus SEC(".maps");

char licence_string[] SEC("license") = "Dual MIT/GPL";

#include "host.h"

// ---- The program. ----

// Whether transit may pass. The clock is right to the nanosecond and slow, so its word is good for
// the rest of the timer tick (1 to 10 ms against a lease of a second), for FRAMES_A_CLOCK frames
// of this CPU, in case that ticks are late, and for this deadline: a new one counts at once.
INLINE int lease_holds(struct cpu *cpu)
{
	u32 zero = 0;
	u64 *word = map_lookup(&lease, &zero);
	if (!word)
		return 0;
	u64 deadline = *(volatile u64 *)word, tick = jiffies64();
	if (cpu->frames && cpu->tick == tick && cpu->deadline == deadline) {
		cpu->frames -= 1;
		return 1;
	}
	cpu->frames = 0;
	if (ktime_get_ns() > deadline)
		return 0;
	cpu->deadline = deadline;
	cpu->tick = tick;
	cpu->frames = FRAMES_A_CLOCK - 1;
	return 1;
}

// Whether workers take transit in without a lease. That lasts for seconds: the clock is asked each time.
INLINE int latecomers_come(void)
{
	u32 latecomers = LEASE_LATECOMERS;
	u64 *word = map_lookup(&lease, &latecomers);
	u64 deadline = word ? *(volatile u64 *)word : 0;
	return deadline && ktime_get_ns() <= deadline;
}

// The bit of an address in the filter: the top of a sum of products, as the loader computes it.
INLINE u32 filter_bit(const struct address *address)
{
	u64 sum = address->domain * 0x9e3779b97f4a7c15ULL;
	sum += address->bytes[0] * 0xbf58476d1ce4e5b9ULL;
	sum += address->bytes[1] * 0x94d049bb133111ebULL;
	sum += address->bytes[2] * 0xd6e8feb86659fd93ULL;
	sum += address->bytes[3] * 0xc2b2ae3d27d4eb4fULL;
	return sum >> 48;
}

// True if no key with these bits can be in the map that they cover.
INLINE int surely_absent(void *bitmap, u32 bit)
{
	u32 zero = 0;
	struct filter *bits = map_lookup(bitmap, &zero);
	return bits && !(*(volatile u64 *)&bits->words[bit >> 6] >> (bit & 63) & 1);
}

#include "cookie.h"
#include "nat.h"

// Whether the sender of a frame is blocked. The clock is asked for those alone that are in the list.
INLINE int is_blocked(const struct screen *screen, const struct ethernet *ethernet,
		      const void *end)
{
	u32 zone = screen ? *(volatile u32 *)&screen->zone : 0;
	if (!zone || (void *)(ethernet + 1) > end)
		return 0;
	struct address source = {.domain = zone};
	if (ethernet->type == ETH_IPV4) {
		const struct ipv4 *ip = (void *)(ethernet + 1);
		if ((void *)(ip + 1) > end)
			return 0;
		source.bytes[2] = BE32(0xffff);
		source.bytes[3] = ip->source & screen->v4;
	} else if (ethernet->type == ETH_IPV6) {
		const struct ipv6 *ip = (void *)(ethernet + 1);
		if ((void *)(ip + 1) > end)
			return 0;
		source.bytes[0] = ip->source[0] & screen->v6[0];
		source.bytes[1] = ip->source[1] & screen->v6[1];
		source.bytes[2] = ip->source[2] & screen->v6[2];
		source.bytes[3] = ip->source[3] & screen->v6[3];
	} else {
		return 0;
	}
	if (surely_absent(&blocked_filter, filter_bit(&source)))
		return 0;
	const u64 *until = map_lookup(&blocked, &source);
	return until && ktime_get_ns() < *(volatile u64 *)until;
}

// What an address is to this node: OWN, VIP, both or 0. Nearly all are nothing, and a bit says so.
INLINE u32 standing_of(const struct address *address)
{
	if (surely_absent(&filter, filter_bit(address)))
		return 0;
	const u8 *standing = map_lookup(&addresses, address);
	return standing ? *(volatile u8 *)standing : 0;
}

// True for a VIP without a valid lease: another node may answer for it.
INLINE int leaseless(struct cpu *cpu, u32 standing)
{
	return standing & VIP && !lease_holds(cpu);
}

// As leaseless, for the target of a neighbour solicitation.
INLINE int silent_about(u32 domain, const be32 target[4])
{
	u32 zero = 0;
	struct cpu *cpu = map_lookup(&cpus, &zero);
	struct address address = {.domain = domain};
	__builtin_memcpy(address.bytes, target, 16);
	return !cpu || leaseless(cpu, standing_of(&address));
}

// An ARP request for a VIP; the kernel answers for any address that it has, on any port.
INLINE u32 locate_arp(const struct arp *arp, const void *end, u32 domain, struct cpu *cpu)
{
	// The kernel does not read one that is cut off.
	if ((void *)(arp + 1) > end || arp->operation != ARP_REQUEST)
		return STAT_LINK_CONTROL;
	struct address address = {.bytes = {0, 0, BE32(0xffff), arp->target}, .domain = domain};
	return leaseless(cpu, standing_of(&address)) ? STAT_VIP_WITHOUT_LEASE : STAT_LINK_CONTROL;
}

// Where a packet to an address of this standing goes. What is to be routed must have been sent to this
// station alone.
INLINE u32 way_to(u32 standing, int group, struct cpu *cpu)
{
	int translated = standing & NAT && !group;
	if (leaseless(cpu, standing))
		return translated && latecomers_come() ? ASK_NAT | LATE | standing
						       : STAT_VIP_WITHOUT_LEASE;
	if (standing & OWN)
		return translated ? ASK_NAT | standing : STAT_TO_HOST;
	return group ? STAT_NOT_FOR_US : STAT_TO_WORKER;
}

// STAT_TO_WORKER for transit, STAT_TO_HOST for what `to_host` judges, ASK_NAT, or where the packet goes.
INLINE u32 locate_ipv4(const struct ipv4 *ip, const void *end, u32 domain, int group,
		       struct cpu *cpu)
{
	// A header that is no header is the worker's to name.
	if ((void *)(ip + 1) > end || ip->version_length >> 4 != 4)
		return STAT_TO_WORKER;
	if ((ip->version_length & 15) < sizeof(*ip) / 4)
		return STAT_TO_WORKER;
	struct address address = {.bytes = {0, 0, BE32(0xffff), ip->destination}, .domain = domain};
	if (multicast4(ip->destination))
		return STAT_TO_HOST;
	return way_to(standing_of(&address), group, cpu);
}

// As locate_ipv4.
INLINE u32 locate_ipv6(const struct ipv6 *ip, const void *end, u32 domain, int group,
		       struct cpu *cpu)
{
	if ((void *)(ip + 1) > end || *(u8 *)ip >> 4 != 6)
		return STAT_TO_WORKER;
	const u8 *destination = (const u8 *)ip->destination;
	int multicast = destination[0] == 0xff;
	// A link-local address is somebody on this link, never transit: the kernel knows if it is us.
	int link_local = destination[0] == 0xfe && (destination[1] & 0xc0) == 0x80;
	struct address address = {.domain = domain};
	__builtin_memcpy(address.bytes, ip->destination, 16);
	u32 standing = multicast ? 0 : standing_of(&address);
	if (multicast || (link_local && !leaseless(cpu, standing)))
		return STAT_TO_HOST;
	return way_to(standing, group, cpu);
}

// True for a unicast frame to a station that is not this port.
INLINE int other_station(const struct port *port, const struct ethernet *ethernet)
{
	if (!(port->flags & PORT_CHECK_MAC) || ethernet->destination[0] & 1)
		return 0;
	const be16 *to = (const void *)ethernet->destination, *own = (const void *)port->mac;
	return to[0] != own[0] || to[1] != own[1] || to[2] != own[2];
}

// As locate_ipv4, for a frame on a routed port.
INLINE u32 locate(const struct port *port, const struct ethernet *ethernet, void *end, u32 domain,
		  struct cpu *cpu)
{
	if ((void *)(ethernet + 1) > end)
		return STAT_TO_WORKER;
	if (other_station(port, ethernet))
		return STAT_NOT_FOR_US;
	// IP that is to be routed must have been sent to this station alone (RFC 1812 §5.3.4).
	int group = ethernet->destination[0] & 1;
	if (ethernet->type == ETH_IPV4)
		return locate_ipv4((void *)(ethernet + 1), end, domain, group, cpu);
	if (ethernet->type == ETH_IPV6)
		return locate_ipv6((void *)(ethernet + 1), end, domain, group, cpu);
	if (ethernet->type == ETH_ARP)
		return locate_arp((void *)(ethernet + 1), end, domain, cpu);
	return STAT_TO_WORKER;
}

// Hands the frame to the worker of its queue, if the lease and the socket are there. A SYN to a
// destination that is guarded in this zone is answered.
INLINE u32 transit(struct xdp_md *context, struct cpu *cpu, u32 port, u32 queue, u32 guarded)
{
	if (lease_holds(cpu)) {
		if (guarded && answer_syn(context, guarded))
			return STAT_SYN_ANSWERED;
	} else if (!latecomers_come()) {
		return STAT_LEASE_EXPIRED;
	}
	if (queue >= MAX_QUEUES)
		return STAT_NO_WORKER;
	// The low bits of the flags are the answer where there is no socket.
	if (redirect_map(&sockets, port * MAX_QUEUES + queue, XDP_DROP) != XDP_REDIRECT)
		return STAT_NO_WORKER;
	return STAT_TO_WORKER;
}

INLINE u32 judge_frame(struct xdp_md *context, struct cpu *cpu)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;
	u32 ifindex = context->ingress_ifindex;
	u32 queue = context->rx_queue_index;

	u32 slot = ifindex % SLOTS;
	const struct port *port = map_lookup(&slots, &slot);
	u64 word = port ? *(volatile u64 *)&port->word : 0;
	if (word >> 32 != ifindex) {
		port = map_lookup(&ports, &ifindex);
		word = port ? *(volatile u64 *)&port->word : 0;
	}
	if (!port || !word)
		return STAT_NO_PORT;
	u32 index = word % MAX_PORTS, mode = word >> 8 & 0xff, domain = word >> 16 & 0xffff;
	const struct screen *screen = map_lookup(&screens, &index);
	u32 guarded = screen ? *(volatile u32 *)&screen->guarded : 0;
	if (is_blocked(screen, data, end))
		return STAT_BLOCKED;
	u32 way = mode == MODE_ROUTED ? locate(port, data, end, domain, cpu) : STAT_TO_WORKER;
	u32 late = way & LATE;
	if (way & ASK_NAT)
		way = way_of_own(context, word, way);
	if (late && way == STAT_TO_HOST)
		return STAT_VIP_WITHOUT_LEASE;
	if (way == STAT_TO_HOST)
		return to_host(context, word);
	return way == STAT_TO_WORKER ? transit(context, cpu, index, queue, guarded) : way;
}

SEC("xdp")
int ringwall(struct xdp_md *context)
{
	u32 zero = 0;
	struct cpu *cpu = map_lookup(&cpus, &zero);
	if (!cpu)
		return XDP_DROP;
	u32 way = judge_frame(context, cpu);
	OPAQUE(way);
	if (way >= STATS)
		return XDP_DROP;
	cpu->counters[way] += 1;
	if (way == STAT_TO_WORKER)
		return XDP_REDIRECT;
	if (way == STAT_SYN_ANSWERED)
		return XDP_TX;
	return way == STAT_TO_HOST || way == STAT_LINK_CONTROL ? XDP_PASS : XDP_DROP;
}
