import { thrower } from "#core/errors.ts";

/** Addresses that are not written as they must be. The detail quotes the text and says what is wrong with it. */
export const ADDRESS_ERRORS = {
  PENSTOCK_ADDRESS_SOCKET: {
    message: "not a socket address",
    status: 422,
    hint: 'write "127.0.0.1:8080", "[::1]:8080", "unix:/path" or "unix:@abstract-name"',
  },
  PENSTOCK_ADDRESS_IP: {
    message: "not an IP address",
    status: 422,
    hint: 'write "192.0.2.1" or "2001:db8::1", without brackets, port or zone',
  },
  PENSTOCK_ADDRESS_PREFIX: {
    message: "not an IP prefix",
    status: 422,
    hint: 'write "192.0.2.0/24", "2001:db8::/32", or one address',
  },
} as const;

export const addressError = thrower(ADDRESS_ERRORS);
