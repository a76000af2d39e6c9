// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What the program uses of the kernel's ABI (linux/bpf.h), and the packet headers.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef u16 be16;
typedef u32 be32;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
// A function that the verifier walks through once by itself, for any arguments. Packet pointers
// cannot be handed over: offsets can.
#define APART __attribute__((noinline))
// Makes clang forget what it knows of a value, so that it keeps a bound the verifier wants to see.
#define OPAQUE(value) asm volatile("" : "+r"(value))
#define NUMBER(name, value) int(*name)[value]
#define TYPE(name, value) typeof(value) *name

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BE16(value) ((be16)((((value)&0xff) << 8) | (((value) >> 8) & 0xff)))
#define BE32(value) ((be32)__builtin_bswap32(value))
#else
#define BE16(value) ((be16)(value))
#define BE32(value) ((be32)(value))
#endif

// ---- Maps, helpers, sockets. ----

enum action { XDP_DROP = 1, XDP_PASS = 2, XDP_TX = 3, XDP_REDIRECT = 4 };

enum map_type {
	MAP_HASH = 1,
	MAP_ARRAY = 2,
	MAP_PERCPU_ARRAY = 6,
	MAP_LRU_HASH = 9,
	MAP_XSK = 17,
};

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
static long (*map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u64 (*ktime_get_ns)(void) = (void *)5;
static long (*adjust_tail)(void *ctx, int delta) = (void *)65;
static long (*redirect_map)(void *map, u64 key, u64 flags) = (void *)51;
static struct bpf_sock *(*lookup_udp)(void *ctx, void *tuple, u32 size, u64 netns,
				      u64 flags) = (void *)85;
static long (*sock_release)(void *sock) = (void *)86;
static struct bpf_sock *(*lookup_tcp)(void *ctx, void *tuple, u32 size, u64 netns,
				      u64 flags) = (void *)99;
static u64 (*jiffies64)(void) = (void *)118; // a load, not a call, where there is a JIT

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

// Between Ethernet and IPv4 (RFC 826); of two-byte words, as its fields are not aligned.
struct arp {
	be16 hardware, protocol;
	u8 hardware_length, protocol_length;
	be16 operation, sender[5], target_hardware[3];
	be32 target;
};

// RFC 4861 §4.3.
struct solicitation {
	u8 type, code;
	be16 checksum;
	be32 reserved, target[4];
};

struct transport {
	be16 source_port, destination_port;
};

#define ETH_IPV4 BE16(0x0800)
#define ETH_ARP BE16(0x0806)
#define ETH_IPV6 BE16(0x86dd)
#define ARP_REQUEST BE16(1)
#define NEIGHBOUR_SOLICITATION 135

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
