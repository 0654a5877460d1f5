// The app's identity, made before the app so that its rights are in force when the app starts.
// After Azure/bicep-registry-modules avm/res/managed-identity/user-assigned-identity/main.bicep.

@description('Name of the identity.')
param name string

@description('Region of the identity.')
param location string

@description('Tags on the identity.')
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: name
  location: location
  tags: tags
}

@description('Name of the identity.')
output name string = identity.name

@description('Object id that roles are assigned to.')
output principalId string = identity.properties.principalId
