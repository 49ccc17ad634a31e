// Owns: the names of the demo world, whose keys and second factors lie open: everything else that is made beside it is an account like any other.

export const demoCustomers = ['acme', 'acme-2', 'globex'] as const;
export const demoProcessor = 'processor';
export const demoMachine = (customer: string): string => `${customer}-batch`;

export const isDemoAccount = (name: string): boolean =>
  name === demoProcessor || demoCustomers.some((customer) => name === customer || name === demoMachine(customer));
