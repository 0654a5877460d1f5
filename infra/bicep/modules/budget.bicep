// A monthly budget of the resource group. It tells; it stops nothing.
// After Azure/bicep-types-az generated/consumption/microsoft.consumption/2023-05-01/samples.md.

@description('Name of the budget.')
param name string

@description('Amount a month in the subscription\'s currency.')
param amount int

@description('First of a month, yyyy-MM-01, from which it counts.')
param startDate string

@description('Who is told.')
param emails array

resource budget 'Microsoft.Consumption/budgets@2023-11-01' = {
  name: name
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: {
      startDate: startDate
    }
    notifications: {
      expected: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 100
        thresholdType: 'Forecasted'
        contactEmails: emails
      }
      nearly: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 80
        thresholdType: 'Actual'
        contactEmails: emails
      }
      spent: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 100
        thresholdType: 'Actual'
        contactEmails: emails
      }
    }
  }
}
