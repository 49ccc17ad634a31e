// Owns: the SSH message numbers of transport and login that we handle ourselves (RFC 4250 section 4.1.2).

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
  authRequest: 50,
  authFailure: 51,
  authSuccess: 52,
  authBanner: 53,
  /** PK_OK and INFO_REQUEST have the same number; the client tells them apart by what it asked. */
  authReply: 60,
  authInfoResponse: 61,
  globalRequest: 80,
  requestSuccess: 81,
  requestFailure: 82,
} as const;
