// Owns: what a bank needs to check receipts without us: the public key, and the commands that check with it.

/**
 * Returns the text of the console's `receipt-key`. It begins with the key in PEM, so that OpenSSL reads the whole text
 * as a key. The key is the one that this warden signs with, and not what a row of the database says it is.
 */
export const receiptKeyText = ({ pem, id }: { readonly pem: string; readonly id: string }): string =>
  `${pem.trimEnd()}

This is the key with which receipts are signed (Ed25519). Its id is ${id}. The last line of
a receipt names the id of its key; of an earlier key, ask the operators of this gateway.

To check the receipt of a file, with OpenSSL 3:

  ssh GATEWAY receipt-key > receipt-key
  ssh GATEWAY receipt deposit/pain.001.xml > receipt
  head -n 2 receipt > signed
  sed -n 4p receipt | cut -d ' ' -f 3 | base64 -d > signature
  openssl pkeyutl -verify -pubin -inkey receipt-key -rawin -in signed -sigfile signature
  sha256sum pain.001.xml

The last command prints what the receipt states as sha256. Keep the key, and have the operators
confirm it once over another way: a gateway that lied about receipts would lie about its key.
`;
