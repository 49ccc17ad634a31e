// Owns: the numbers of the SSH messages that we handle ourselves (RFC 4250 section 4.1.2). Number 7 is from RFC 8308,
// 30 from the key exchanges (RFC 4253 section 8, RFC 5656 section 7.1), 60 and 61 from the authentication methods
// (RFC 4252 section 7, RFC 4256 section 5).

export const number = {
  disconnect: 1,
  ignore: 2,
  unimplemented: 3,
  debug: 4,
  serviceRequest: 5,
  serviceAccept: 6,
  extInfo: 7,
  kexInit: 20,
  /** KEXDH_INIT, KEX_ECDH_INIT and KEX_HYBRID_INIT have the same number. */
  kexDhInit: 30,
  userauthRequest: 50,
  userauthFailure: 51,
  userauthSuccess: 52,
  userauthBanner: 53,
  /** PK_OK and INFO_REQUEST have the same number; the client tells them apart by what it asked. */
  userauthReply: 60,
  userauthInfoResponse: 61,
  globalRequest: 80,
  requestSuccess: 81,
  requestFailure: 82,
  channelOpen: 90,
  channelOpenConfirmation: 91,
  channelOpenFailure: 92,
  channelWindowAdjust: 93,
  channelData: 94,
  channelExtendedData: 95,
  channelEof: 96,
  channelClose: 97,
  channelRequest: 98,
  channelSuccess: 99,
  channelFailure: 100,
} as const;
