// Owns: the SSH message numbers of transport and login that this side handles itself (RFC 4250 section 4.1.2).

export const number = {
  disconnect: 1,
  ignore: 2,
  unimplemented: 3,
  debug: 4,
  serviceRequest: 5,
  serviceAccept: 6,
  extInfo: 7,
  kexInit: 20,
  /** KEXDH_INIT, KEX_ECDH_INIT, KEX_HYBRID_INIT. */
  kexDhInit: 30,
  authRequest: 50,
  authFailure: 51,
  authSuccess: 52,
  authBanner: 53,
  /** PK_OK and INFO_REQUEST share a number; what was asked tells them apart. */
  authReply: 60,
  authInfoResponse: 61,
  globalRequest: 80,
  requestSuccess: 81,
  requestFailure: 82,
} as const;
