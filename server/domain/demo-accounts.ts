// Owns: the names of the demo accounts, whose keys and second factors are public. Every other account of such an
// installation is an ordinary account.

export const demoCustomers = ['acme', 'acme-2', 'globex'] as const;
export const demoProcessor = 'processor';
export const demoMachine = (customer: string): string => `${customer}-batch`;

export const isDemoAccount = (name: string): boolean =>
  name === demoProcessor || demoCustomers.some((customer) => name === customer || name === demoMachine(customer));
